"""Whether a um/px agrees with what else is known of it: a second image of the scale, or the red cells of ordinary fields."""

from pathlib import Path

from calib.measured_profile import measure_profile
from calib.red_cell_check import check_scale
from edge.contracts.errors import DataError

MAX_DIFFERENCE = 0.005
"""Of the um/px, between two images of one scale."""


def agree_with_image(um_per_px: float, again: Path, line_spacing_um: float) -> None:
    """Raises `DataError` when a second image of the same scale shows another um/px, or none."""
    profile, _ = measure_profile(again, line_spacing_um, "second image", None)
    other = profile.measured_scale.um_per_px
    if abs(other / um_per_px - 1) > MAX_DIFFERENCE:
        raise DataError(
            f"the two images do not agree: {um_per_px:.5f} and {other:.5f} um/px in {again}; use one objective, focus, and "
            "look whether both show the same lines of the scale."
        )


def agree_with_cells(um_per_px: float, fields: str) -> str:
    """What the red cells of ordinary fields say for it. Raises `DataError` when they contradict it or are too few."""
    found = check_scale(fields, um_per_px, 64)
    if found.contradicts(um_per_px):
        raise DataError(
            f"the scale and the red cells of {fields} do not agree: {found.sentence(um_per_px)} Look whether --line-spacing-um "
            "or the stage's positions are right, and whether the fields were taken with this objective."
        )
    off = 100 * (found.factor(um_per_px) - 1)
    return f"the {found.cells} single red cells of {found.fields} fields agree with it ({off:+.0f} %)"
