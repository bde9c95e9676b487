"""How far each image of a grid of moves was from where the stage was told to go, as a picture."""

from pathlib import Path

import numpy as np

from calib.plots import axes_for
from calib.stage_profile import StageMeasured


def write_stage_plot(path: Path, measured: StageMeasured) -> None:
    """An arrow at each position, long enough to be seen; the title says how much longer than it was.

    Raises `ConfigError` when the picture cannot be written.
    """
    where, off = measured.moves.commanded_um, measured.fit.off_um
    used = np.isfinite(off).all(axis=1)
    longest_um = float(np.hypot(*off[used].T).max())
    reach_um = float(np.ptp(where, axis=0).max())
    larger = max(1.0, 0.12 * reach_um / max(longest_um, 1e-9))
    with axes_for(path, f"Where images were, against where they should be ({larger:.0f} times as far)") as axes:
        axes.plot(*where.T, "-", color="lightgray", linewidth=0.8, label="the stage's way")
        axes.quiver(
            *where[used].T, *(-off[used].T * larger), angles="xy", scale_units="xy", scale=1, color="tab:blue", width=0.004
        )
        axes.update_datalim(where[used] - off[used] * larger)  # an arrow alone moves no border of the picture
        axes.autoscale_view()
        axes.plot(*where[used].T, ".", color="tab:blue", label=f"{int(used.sum())} images, at most {longest_um:.2f} um off")
        if not used.all():
            axes.plot(*where[~used].T, "x", color="tab:red", label="shares no place with others")
        if measured.fit.far_off:
            axes.plot(*where[measured.fit.far_off].T, "o", color="tab:red", fillstyle="none", label="far off")
        axes.set_xlabel("stage x in um")
        axes.set_ylabel("stage y in um")
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
