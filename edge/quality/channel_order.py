"""Whether a camera's red and blue are exchanged: by what nuclei absorb beside red cells, whatever the lamp's colour.

Of the dyes of every Romanowsky stain azure B, which nuclei take up, absorbs red most; eosin, which red cells take up, absorbs
green and blue, as their haemoglobin does. So nuclei take more of red, beside blue, than red cells do. In frames whose channels
are exchanged, by a pixel format or a Bayer pattern that is set wrongly, it is the other way round. Nothing fails then: cells
are missed, or take another type.
"""

import math
import statistics
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image
from edge.quality.field_look import FEW, is_looked_at

EXCHANGED = -0.08
"""Median over fields of `red_of_nuclei`. Of the laboratories at hand none lies below -0.01, and all but one above 0.1: so does
what is exchanged of that one stay unnoticed, and nothing else."""

ENOUGH = 8
"""Fields with nuclei and red cells, before anything is said."""

AT_FIRST, THEN_EVERY = 16, 64
"""Of the first fields each is looked at, then one in so many, until there are enough."""

LOOKED_AT_UM = 0.55
"""Every so much of a field one pixel is looked at: medians need no more."""

_CELL, _NUCLEUS = 0.08, 0.3
"""Optical density over the empty slide from which something is a cell, in green, and a nucleus, as the mean of red and blue."""

_DARK_GREEN = 0.4
"""Optical density in green that every nucleus has."""

_DARKER = 1.6
"""Times as dense as red cells, in red and blue together: less is no nucleus, but red cells that lie over each other."""

_NUCLEUS_UM2, _AROUND_UM = 12.0, 2.2
"""Least area of nuclei without their rims, and how far around them nothing counts as a red cell."""

_CELLS_SHARE, _RED_CELLS_SHARE = 0.02, 0.01
_STEPS = 200.0
"""Of optical density 1, for a threshold among 256 levels."""


def red_of_nuclei(image: Image, um_per_px: float) -> float | None:
    """By how much more of red than of blue nuclei take, beside red cells: differences of shares of all that they take.

    Above 0 for uint8 BGR [H, W, 3] whose channels are as they are called, and the same below 0 where red and blue are
    exchanged. None for a field without nuclei or red cells.
    """
    every = max(1, int(LOOKED_AT_UM / um_per_px))
    small = np.ascontiguousarray(image[::every, ::every])
    least_px = _NUCLEUS_UM2 / (um_per_px * every) ** 2
    green = np.ascontiguousarray(small[..., 1])
    level, _ = cv2.threshold(green, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    sparse = green[::2, ::2]
    slide = sparse[sparse > level]
    # Most fields show no nucleus, which is soon seen.
    if not len(slide) or 4 * np.count_nonzero(sparse < np.median(slide) * math.exp(-_DARK_GREEN)) < least_px:
        return None
    bright = small[::2, ::2][sparse > level]
    table = np.log((np.median(bright, axis=0) + 1) / np.arange(1, 257)[:, None]).astype(np.float32)
    blue, taken, red = cv2.split(cv2.LUT(small, table[None]))
    # All that tells cells apart is the same for both orders of the channels.
    both = np.asarray((blue + red) / 2, np.float32)
    cells = _shrunk(taken > _CELL)
    if np.count_nonzero(cells) < _CELLS_SHARE * green.size:
        return None
    levels = (both[cells] * _STEPS).clip(0, 255).astype(np.uint8)
    step, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    nuclei = _shrunk(cells & (both > max(step / _STEPS, _NUCLEUS)))
    if np.count_nonzero(nuclei) < least_px:
        return None
    reach = 2 * math.ceil(_AROUND_UM / (um_per_px * every)) + 1
    near = cv2.dilate(nuclei.view(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    red_cells = cells & ~near & (both < step / _STEPS)
    if np.count_nonzero(red_cells) < _RED_CELLS_SHARE * green.size:
        return None
    if np.median(both[nuclei]) < _DARKER * np.median(both[red_cells]):
        return None
    share = np.asarray((red - blue) / np.maximum(blue + taken + red, np.float32(1e-3)), np.float32)
    return float(np.median(share[nuclei]) - np.median(share[red_cells]))


def _shrunk(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)) > 0, np.bool_)


def exchanged(found: Sequence[float], *, is_last: bool = False) -> str:
    """What is said of so many fields' `red_of_nuclei`; empty while nothing, or too little, speaks against the channels.

    `is_last`: there will be no more; then a few fields suffice, if all of them say it.
    """
    if len(found) < ENOUGH and not (is_last and len(found) >= FEW):
        return ""
    if (statistics.median(found) if len(found) >= ENOUGH else max(found)) > EXCHANGED:
        return ""
    return (
        f"red and blue are most likely exchanged: in {len(found)} fields nuclei take less of red and more of blue than red "
        "cells do, as under no stain; correct the camera's pixel format (RGB8, BGR8) or the first colour of its Bayer pattern."
    )


class ChannelOrder:
    """Told of a run's fields; one sentence when they say that red and blue are exchanged. For one thread."""

    def __init__(self, um_per_px: float) -> None:
        self._um_per_px = um_per_px
        self._n_offered = 0
        self._found: list[float] = []
        self._said = False

    def look(self, image: Image) -> None:
        """Before the field's pixels are let go of, as the camera gave them. `image` is BGR, uint8 [H, W, 3]."""
        looks = is_looked_at(self._n_offered, AT_FIRST, THEN_EVERY)
        self._n_offered += 1
        if looks and len(self._found) < ENOUGH and (found := red_of_nuclei(image, self._um_per_px)) is not None:
            self._found.append(found)

    def sentence(self, *, is_last: bool = False) -> str:
        """What to say, once; empty before and ever after. `is_last`: no field comes any more."""
        if self._said or not (said := exchanged(self._found, is_last=is_last)):
            return ""
        self._said = True
        return said
