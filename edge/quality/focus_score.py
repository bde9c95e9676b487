"""How sharp a field is, by one number that does not depend on how much there is to see in it.

The energy of its finest structures over that of structures twice as large, as two neighbouring bands of a Laplacian pyramid
(Burt and Adelson, IEEE Trans. Commun. 31, 1983) hold them: defocus takes the fine ones first, and what changes both alike
(contrast, light, the number of cells) leaves their ratio. It differs between optics and cameras, so it is compared with the
best of the same instrument, as `leuko-calib focus` measures it.
"""

from functools import lru_cache

import cv2
import numpy as np

from edge.contracts.detections import Image

_SIDE_PX, _PER_SIDE = 96, 3
"""Nine squares, evenly over the field: a sixth of a millisecond."""
_FINEST_UM = 0.13
"""A finer grid is first averaged: it holds noise, and nothing that a microscope could show."""
_MIN_ENERGY = 1.0
"""Mean square, in grey levels, of structures of a micrometre: cells show there however blurred, and noise hardly does."""


def focus_score(image: Image, um_per_px: float) -> float | None:
    """Sharpness of a field (uint8 BGR [H, W, 3]); about 1 to 4 in focus, below 0.5 far out of it.

    None when there is nothing to see in it, or it is smaller than one square.
    """
    every = max(1, round(_FINEST_UM / um_per_px))
    size_px = _SIDE_PX * every
    height_px, width_px = image.shape[:2]
    if min(height_px, width_px) < size_px:
        return None
    greens = np.empty((_SIDE_PX, _PER_SIDE**2 * _SIDE_PX), np.uint8)
    for at, (y, x) in enumerate(_corners(height_px, width_px, size_px)):
        # Green: red cells and nuclei show in it, and a Bayer sensor has most of it.
        square, here = image[y : y + size_px, x : x + size_px], greens[:, at * _SIDE_PX : (at + 1) * _SIDE_PX]
        if every == 1:
            cv2.extractChannel(square, 1, here)
        else:
            cv2.resize(cv2.extractChannel(square, 1), (_SIDE_PX, _SIDE_PX), dst=here, interpolation=cv2.INTER_AREA)
    squares = greens.astype(np.float32)
    half = cv2.pyrDown(squares)
    quarter = cv2.pyrDown(half)
    eighth = cv2.pyrDown(quarter)
    if _energy(eighth, cv2.pyrDown(eighth)) < _MIN_ENERGY:
        return None
    return _energy(half, quarter) / _energy(quarter, eighth)


@lru_cache(maxsize=16)
def _corners(height_px: int, width_px: int, size_px: int) -> tuple[tuple[int, int], ...]:
    """Of the squares, as y and x."""
    down, right = (np.linspace(0, side_px - size_px, _PER_SIDE) for side_px in (height_px, width_px))
    return tuple((round(y), round(x)) for y in down for x in right)


def _energy(level: cv2.typing.MatLike, below: cv2.typing.MatLike) -> float:
    """Mean square of what `level` has and the coarser one has not, without the seams between squares."""
    band = level - cv2.pyrUp(below, dstsize=(level.shape[1], level.shape[0]))
    margin = band.shape[0] // 12
    inner = band.reshape(band.shape[0], _PER_SIDE**2, -1)[margin:-margin, :, margin:-margin]
    squared = np.square(inner)
    return float(np.add.reduce(squared, axis=None) / np.float32(squared.size))
