"""Curves as pictures, for people who would rather look."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from calib.box_report import BoxFit
from calib.focus_profile import FocusMeasured
from calib.score_calibration import ScoreCalibration
from edge.contracts.errors import ConfigError


def require_suffix(path: Path) -> None:
    """Raises `ConfigError` for a name under which no picture can be written: before a measurement, not after it."""
    if path.suffix.lower().removeprefix(".") not in FigureCanvasAgg(Figure()).get_supported_filetypes():
        raise ConfigError(f"{path} has no suffix of a picture; name it like curve.png.")


@contextmanager
def axes_for(path: Path, title: str) -> Iterator[Axes]:
    """One pair of axes, written to `path` at the end. Raises `ConfigError` when that is impossible."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)  # no display, whatever the environment says
    axes = figure.add_subplot()
    axes.set_title(title)
    yield axes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except ValueError as problem:
        raise ConfigError(f"{path} has no suffix of a picture; name it like curve.png.") from problem
    except OSError as problem:
        raise ConfigError(
            f"picture {path} cannot be written ({problem.strerror}); give another file with --picture."
        ) from problem


def write_focus_plot(path: Path, measured: FocusMeasured, usable_share: float) -> None:
    """Sharpness over height, with the peak and the range that is sharp enough."""
    focus = measured.focus
    with axes_for(path, "Sharpness over height") as axes:
        heights = [plane.z_um for plane in measured.planes]
        axes.plot(heights, [score or 0.0 for score in measured.scores], "o-", color="tab:blue", label="image")
        axes.axvline(focus.peak_z_um, color="tab:red", label=f"peak, {focus.peak_z_um:.2f} um")
        axes.axvspan(*focus.usable_um, color="tab:green", alpha=0.15, label=f"at least {usable_share:.0%} of it")
        axes.axhline(focus.min_score, color="tab:green", linestyle="--")
        axes.set_xlabel("height in um")
        axes.set_ylabel("sharpness")
        axes.set_ylim(bottom=0)
        axes.legend()


def write_box_plot(path: Path, fit: BoxFit) -> None:
    """Widths and heights of cells and boxes, in um."""
    with axes_for(path, f"Cells and the boxes of {fit.system.recipe}") as axes:
        axes.plot(*fit.sizes_um.T, ".", color="tab:blue", alpha=0.2, label=f"{fit.n_cells} cells")
        axes.plot(*fit.shapes_um.T, "s", color="tab:red", label="fitted boxes")
        axes.set_xlabel("width in um")
        axes.set_ylabel("height in um")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend()


def write_reliability_plot(path: Path, calibration: ScoreCalibration) -> None:
    """Share of right cells over what was said of them, before and after; on the diagonal words and facts agree."""
    with axes_for(path, f"{calibration.cells} cells: is a score how often it is right?") as axes:
        axes.plot([0, 1], [0, 1], "--", color="gray")
        for bins, error, colour, name in (
            (calibration.before, calibration.error_before, "tab:red", "score as it comes"),
            (calibration.after, calibration.error_after, "tab:green", f"probability ({calibration.method})"),
        ):
            label = f"{name}: expected error {error:.3f}"
            axes.plot([one.mean for one in bins], [one.right for one in bins], "o-", color=colour, label=label)
        axes.set_xlabel("score or probability")
        axes.set_ylabel("share that is right")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.legend()
