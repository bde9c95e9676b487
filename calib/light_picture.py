"""The light over a field as a picture: lines of equal light on the shade of each channel."""

from pathlib import Path

import numpy as np

from calib.plots import axes_for
from edge.camera.correction import light_at
from edge.contracts.colours import MeasuredLight

WIDTH_PX = 360


def write_light_picture(path: Path, light: MeasuredLight) -> None:
    """Contours of the mean over the channels, in per cent of the brightest part. Raises `ConfigError` for a path that cannot be
    written."""
    height_px = max(2, round(WIDTH_PX * light.height_px / light.width_px))
    shade = 100 * light_at(light.shade, WIDTH_PX, height_px).mean(axis=2)
    with axes_for(path, "Light over the field, % of its brightest part (mean of the channels)") as axes:
        x = (np.arange(WIDTH_PX) + 0.5) * light.width_px / WIDTH_PX
        y = (np.arange(height_px) + 0.5) * light.height_px / height_px
        axes.imshow(shade, cmap="gray", extent=(0, light.width_px, light.height_px, 0), vmin=50, vmax=100)
        if float(np.ptp(shade)) > 0.5:
            axes.clabel(axes.contour(x, y, shade, levels=8, colors="tab:red"), fmt="%.0f")
        axes.set_xlabel("x in px")
        axes.set_ylabel("y in px")
