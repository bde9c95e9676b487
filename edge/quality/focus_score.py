"""How sharp a field is, by one number that depends neither on how much there is to see in it nor on the camera's noise.

The energy of its finest structures over that of structures twice as large, as two neighbouring bands of a Laplacian pyramid
(Burt and Adelson, IEEE Trans. Commun. 31, 1983) hold them: defocus takes the fine ones first, and what changes both alike
(contrast, light, the number of cells) leaves their ratio. A share of the structures that are twice as large again stands below,
so that the ratio does not turn into one of two noises where a field is far out of focus.

Noise is fine structure, too, and what it adds is taken off. It is known in two ways, of which the larger counts. Optics leave
next to nothing in a band finer still, so that what is there is noise: of a bare sensor, or of its photons. Demosaicing and
compression take that band away; but noise is everywhere and structure is not, so that it is also what the quietest places
hold. The score differs between optics and cameras, so it is compared with the best of the same instrument, as
`leuko-calib focus` measures it.
"""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image

_SIDE_PX, _PER_SIDE = 96, 3
"""Nine squares, evenly over the field: a sixth of a millisecond."""
_FINEST_UM = 0.13
"""A finer grid is first averaged: it holds noise, and nothing that a microscope could show."""
_MIN_ENERGY = 1.0
"""Mean square, in grey levels, of structures of a micrometre: cells show there however blurred, and noise hardly does."""
_WHITE = 0.0598
"""Energy of white noise in the band that is measured over that in the one finer, both of `cv2.pyrDown`'s filter."""
_WHITE_MARGIN = 1.15
"""Of the noise that the finer band shows: what an estimate of it may be short of, and what rounding adds."""
_QUIET_PLACE, _QUIET_MARGIN = 7, 1.5
"""Of 144 places by their energy, and what all of noise is over that one: of white noise 1.4, of demosaiced 1.4 to 1.6."""
_LARGER = 0.1
"""Of the energy of the larger structures."""
_STRIP = slice(40, 56)
"""Rows of the squares in which the finer band is looked at; all of it would cost half as much as the rest."""
_PLACES = 6
"""A square's side, in places of two micrometres."""


def focus_score(image: Image, um_per_px: float) -> float | None:
    """Sharpness of a field (uint8 BGR [H, W, 3]); about 0.15 to 1 in focus, below 0.1 a micrometre's blur out of it, never
    below 0.

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
    larger = _energy(eighth, cv2.pyrDown(eighth), 2, 2)
    if larger < _MIN_ENERGY:
        return None
    fine = _by_place(half, quarter)
    quiet = float(np.partition(fine, _QUIET_PLACE)[_QUIET_PLACE])
    finer = _energy(squares[_STRIP], half[_STRIP.start // 2 : _STRIP.stop // 2], 4, _SIDE_PX // 12)
    noise = max(_WHITE_MARGIN * _WHITE * finer, _QUIET_MARGIN * quiet)
    return max(0.0, float(np.add.reduce(fine)) / fine.size - noise) / (_energy(quarter, eighth, 4, 4) + _LARGER * larger)


@lru_cache(maxsize=16)
def _corners(height_px: int, width_px: int, size_px: int) -> tuple[tuple[int, int], ...]:
    """Of the squares, as y and x."""
    down, right = (np.linspace(0, side_px - size_px, _PER_SIDE) for side_px in (height_px, width_px))
    return tuple((round(y), round(x)) for y in down for x in right)


@lru_cache(maxsize=16)
def _inside(rows: int, columns: int, margin_y: int, margin_x: int) -> tuple[NDArray[np.uint8], int]:
    """Where a level of the squares side by side is not at a seam or a border, and how many pixels that are."""
    mask = np.zeros((rows, _PER_SIDE**2, columns // _PER_SIDE**2), np.uint8)
    mask[margin_y:-margin_y, :, margin_x:-margin_x] = 1
    return mask.reshape(rows, columns), int(mask.sum())


def _energy(level: cv2.typing.MatLike, below: cv2.typing.MatLike, margin_y: int, margin_x: int) -> float:
    """Mean square of what `level` has and the coarser one has not, without the seams between squares."""
    mask, n_px = _inside(*level.shape, margin_y, margin_x)
    return cv2.norm(level, cv2.pyrUp(below), cv2.NORM_L2SQR, mask) / n_px


def _by_place(level: cv2.typing.MatLike, below: cv2.typing.MatLike) -> NDArray[np.float32]:
    """The same for each place that is not at a seam, float32 [144]."""
    band = cv2.subtract(level, cv2.pyrUp(below))
    energy = cv2.resize(cv2.multiply(band, band), (_PER_SIDE**2 * _PLACES, _PLACES), interpolation=cv2.INTER_AREA)
    return np.asarray(energy, np.float32).reshape(_PLACES, _PER_SIDE**2, _PLACES)[1:-1, :, 1:-1].ravel()
