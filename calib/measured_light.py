"""A profile with the light that blank fields show, and what is told of it."""

from pathlib import Path

import numpy as np

from calib.field_reading import FieldReading
from calib.flat_light import LEAST_FIELDS, LightFit
from calib.plots import axes_for
from calib.profile_parts import Before, dates
from edge.camera.correction import light_at
from edge.contracts.colours import MeasuredLight
from edge.contracts.errors import DataError
from edge.contracts.profile import Profile

PICTURE_PX = 360


def measure_light(source: str, before: Before, fields: int, valid_days: int) -> Profile:
    """The profile so far with the light of the blank fields of `source`.

    Raises `DataError` for fields that are not blank, overexposed, too few or unlike, `ProfileError` when they are another
    camera's, and what opening the source raises.
    """
    reading = FieldReading(source, fields, before.um_per_px or 1.0)  # light has no scale
    fit = LightFit()
    for name, image in reading.fields():
        fit.add(name, image)
    if reading.unusable:
        raise DataError(f"{reading.unusable[0]}; take this field again, or leave it out.")
    if reading.different < min(reading.read, LEAST_FIELDS):
        raise DataError(
            f"the {reading.read} blank fields of {source} are {reading.different} picture{'s' * (reading.different > 1)} again "
            f"and again: copies, or a camera that gives old pictures anew; give at least {LEAST_FIELDS} places of the slide."
        )
    light, info = fit.light(), reading.info
    measured_at, expires_at = dates(valid_days)
    found = MeasuredLight(
        measured_at=measured_at,
        expires_at=expires_at,
        shade=light.shade,
        white=light.white,
        residual=light.residual,
        fields=light.fields,
        width_px=info.width_px,
        height_px=info.height_px,
        source=source,
        fields_sha256=reading.sha256,
    )
    # Colours were measured under the light as it was before.
    return before.of_camera(info).model_copy(update={"illumination": found, "colours": None})


def _darkest(light: MeasuredLight) -> list[float]:
    return [min(value for row in grid for value in row) for grid in light.shade]


def as_json(light: MeasuredLight, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    return {
        "white": light.white,
        "darkest": _darkest(light),
        "residual": light.residual,
        "fields": light.fields,
        "expires_at": light.expires_at,
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(light: MeasuredLight, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    rows = [
        f"{name:<6} {white:7.1f} at the brightest part, {darkest:.0%} of it at the darkest"
        for name, white, darkest in zip(("blue", "green", "red"), light.white, _darkest(light), strict=True)
    ]
    return (
        *rows,
        f"{light.fields} blank fields, {light.residual:.2%} off a smooth light (rms, worst channel)",
        f"the light over the field: {picture}",
        f"valid until {light.expires_at}; colours have to be measured after it (`leuko-calib colour --profile {written}`)",
        f"written to {written}",
    )


def write_light_picture(path: Path, light: MeasuredLight) -> None:
    """Contours of the mean over the channels, in per cent of the brightest part. Raises `ConfigError` for a path that cannot be
    written."""
    height_px = max(2, round(PICTURE_PX * light.height_px / light.width_px))
    shade = 100 * light_at(light.shade, PICTURE_PX, height_px).mean(axis=2)
    with axes_for(path, "Light over the field, % of its brightest part (mean of the channels)") as axes:
        x = (np.arange(PICTURE_PX) + 0.5) * light.width_px / PICTURE_PX
        y = (np.arange(height_px) + 0.5) * light.height_px / height_px
        axes.imshow(shade, cmap="gray", extent=(0, light.width_px, light.height_px, 0), vmin=50, vmax=100)
        if float(np.ptp(shade)) > 0.5:
            axes.clabel(axes.contour(x, y, shade, levels=8, colors="tab:red"), fmt="%.0f")
        axes.set_xlabel("x in px")
        axes.set_ylabel("y in px")
