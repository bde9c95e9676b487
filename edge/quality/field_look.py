"""What a field looks like in a few numbers that no model is needed for: how bright, overexposed, crowded it is.

Some rows of pixels are looked at, no more than `MOST_PX` of them whatever the camera, so that a field costs a tenth of a
millisecond. Green tells cells from empty slide by Otsu's threshold (IEEE Trans. SMC 9, 1979). Along a row a single round cell
is cut into a chord of pi/4 diameters on average, wherever the row meets it: where chords are longer, cells touch or lie over
each other.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image
from edge.quality.red_cell_scale import USUAL_UM

MOST_PX = 12_000
"""Pixels that are looked at in a field, at most."""

FINE_UM = 0.26
"""Along a row, pixels of this size suffice: a red cell has 27 of them."""

CHORD_UM = math.pi / 4 * USUAL_UM
"""Mean chord of a single red cell."""

OVEREXPOSED = 254
_LEAST_APART = 6
"""Grey levels between cells and empty slide: less is noise, or there is nothing in the field."""
_LEAST_CHORDS = 12
"""Fewer say nothing of how cells lie."""
_LEVELS = np.arange(256)
_LEAST_CHORD_UM = 1.0
"""A run of pixels that is shorter is noise or dirt."""


FEW = 3
"""Fields from which a run that ends with too few for a median is judged: by the one that speaks least against it."""


def is_looked_at(nth: int, at_first: int, then_every: int) -> bool:
    """Whether what costs too much for every field looks at the `nth`: each of the first, then one in so many."""
    return nth < at_first or nth % then_every == 0


@dataclass(frozen=True, slots=True)
class FieldLook:
    """`brightness`: of the empty slide, or of all where nothing else is seen, in grey levels of green. `saturated`: share of
    pixels that are overexposed in the worst channel. `covered`: share that cells cover; None where cells and slide cannot be
    told apart. `crowding`: mean chord of what covers it over that of a single red cell; None with too few."""

    brightness: float
    saturated: float
    covered: float | None
    crowding: float | None


def rows_of_pixels(image: Image, um_per_px: float) -> Image:
    """What is looked at: rows evenly over a field (uint8 BGR [H, W, 3]), each with every n-th of its pixels."""
    height_px, width_px = image.shape[:2]
    columns = width_px // _step(um_per_px) or 1
    every = max(1, math.ceil(height_px * columns / MOST_PX))
    rows = image[every // 2 :: every][: max(1, MOST_PX // columns)]
    if columns == width_px:
        return np.ascontiguousarray(rows)
    return np.asarray(cv2.resize(np.ascontiguousarray(rows), (columns, len(rows)), interpolation=cv2.INTER_NEAREST), np.uint8)


def look_at_rows(rows: Image, um_per_px: float) -> FieldLook:
    """The numbers of what `rows_of_pixels` gave of a field at `um_per_px`."""
    channels = [np.asarray(channel, np.uint8) for channel in cv2.split(rows)]
    green = channels[1]
    n_px = green.size
    saturated = max(int(np.count_nonzero(channel >= OVEREXPOSED)) for channel in channels) / n_px
    levels = np.bincount(green.ravel(), minlength=256)
    level = _between(levels)
    below, above = levels[: level + 1], levels[level + 1 :]
    n_below = int(below.sum())
    bright = _median(above) + level + 1 if 0 < n_below < n_px else 0.0
    if not bright or bright - _median(below) < _LEAST_APART:
        return FieldLook(_median(levels), saturated, None, None)
    crowding = _crowding(green <= level, um_per_px * _step(um_per_px))
    return FieldLook(bright, saturated, n_below / n_px, crowding)


def look_at(image: Image, um_per_px: float) -> FieldLook:
    """Of a field (uint8 BGR [H, W, 3])."""
    return look_at_rows(rows_of_pixels(image, um_per_px), um_per_px)


def _step(um_per_px: float) -> int:
    return max(1, round(FINE_UM / um_per_px)) if um_per_px < FINE_UM / 2 else 1


def _between(levels: NDArray[np.int64]) -> int:
    """Otsu's threshold from a histogram of 256 levels: up to it is dark."""
    weight = np.cumsum(levels).astype(np.float64)
    mass = np.cumsum(levels * _LEVELS).astype(np.float64)
    rest = weight[-1] - weight
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = weight * rest * (mass / weight - (mass[-1] - mass) / rest) ** 2
    return int(np.fmax(apart, 0.0).argmax())  # where there is nothing on one side, 0 / 0


def _median(levels: NDArray[np.int64]) -> float:
    """Of the values that a histogram counts, as an index into it."""
    total = levels.cumsum()
    return float(total.searchsorted(total[-1] / 2))


def _crowding(dark: NDArray[np.bool_], step_um: float) -> float | None:
    """Runs of dark pixels that begin and end within their row: their mean length over the chord of a single cell."""
    steps = dark.shape[1] - 1
    turns = (dark[:, 1:] != dark[:, :-1]).ravel().nonzero()[0]
    row = turns // max(1, steps)
    rises = dark.ravel()[turns + row + 1]
    # A run that begins in a row ends with the next turn of the same row.
    whole = rises[:-1] & (row[:-1] == row[1:])
    chords = np.diff(turns)[whole]
    chords = chords[chords >= _LEAST_CHORD_UM / step_um]
    if len(chords) < _LEAST_CHORDS:
        return None
    return float(chords.mean()) * step_um / CHORD_UM
