"""Whether two pictures show the same: copies, resized, compressed again, lighter, moved by a little.

All fields of a camera have much in common that is none of the slide's: light that falls off to the corners, a round aperture,
dust, a scale bar written into the picture. A hash of brightness takes that for the picture. So structures larger than a cell
are taken away first, each place is measured by the contrast around it, so that nothing black outweighs the cells, and what is
dark up to the border counts for nothing.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Float32

SAME_PICTURE = 0.55
"""Likeness from which two pictures show the same. Copies of whole fields, however poor, have over 0.65; different fields of one
camera mostly have under 0.3, and faint ones with dust and a scale bar under 0.52."""
MIN_SIDE_PX = 51
"""A picture shrunk to less has too few pixels for each place."""

_SIDE, _PER_SIDE = 32, 4
_CELL = 0.03
"""Of the picture's side: standard deviation of the blur taken away, and of the neighbourhood whose contrast counts."""
_DARKEST = 8.0
"""In grey levels: below there is only noise, and a logarithm would make much of it."""
_LEAST_CONTRAST = 0.01
"""Of the light; fainter places are not raised to the contrast of the others."""
_NOTHING_TO_SEE = 2.0
"""Places with full contrast below which nobody can say what a picture shows: empty fields are like nothing but their copies."""
_APERTURE = 0.35
"""Of the bright parts' light; what is darker and reaches the border is no slide."""


def look_of(grey: NDArray[np.uint8]) -> Float32:
    """What a picture (uint8 [h, w], both sides from `MIN_SIDE_PX`) shows: float32 [784].

    It is shrunk to one square, so that a copy may have another size and shape. Inner products of two are their likeness.
    """
    fine = _shrunk(grey.astype(np.float32), _SIDE * _PER_SIDE)
    light = np.log(np.maximum(fine, np.float32(_DARKEST)))
    detail = _shrunk(light - _blurred(light))
    slide = ~_outside(_shrunk(fine))
    # The outermost places have no neighbours on one side, and show the fall of the light.
    margin = _SIDE // 16
    slide[:margin] = slide[-margin:] = slide[:, :margin] = slide[:, -margin:] = False
    detail = np.where(slide, detail - np.median(detail[slide]), 0).astype(np.float32) if slide.any() else 0 * detail
    by_contrast = detail / np.sqrt(_blurred(detail * detail) + _LEAST_CONTRAST**2)
    look = by_contrast[margin:-margin, margin:-margin].ravel()
    return np.asarray(look / np.sqrt(look @ look + _NOTHING_TO_SEE), np.float32)


def alike(some: Float32, others: Float32, likeness: float = SAME_PICTURE) -> NDArray[np.bool_]:
    """[n, m]: which of `some` [n, k] show the same as which of `others` [m, k], or are equal to the last bit."""
    mine, theirs = (np.array([hash(row.tobytes()) for row in rows], np.int64) for rows in (some, others))
    return np.asarray((some @ others.T >= likeness) | (mine[:, None] == theirs[None]), np.bool_)


def _shrunk(image: NDArray[np.float32], side: int = _SIDE) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _CELL * len(image), borderType=cv2.BORDER_REFLECT), np.float32)


def _outside(light: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Places beyond a round or narrow aperture, and their neighbours, whose contrast is that of its rim."""
    dark = (light < _APERTURE * np.quantile(light, 0.9)).astype(np.uint8)
    n_spots, spots = cv2.connectedComponents(dark, connectivity=4)
    rim = np.concatenate([spots[0], spots[-1], spots[:, 0], spots[:, -1]])
    sizes = np.bincount(spots.ravel(), minlength=n_spots)
    cut = [spot for spot in np.unique(rim).tolist() if spot and sizes[spot] > _SIDE]
    beyond = np.isin(spots, cut).astype(np.uint8)
    return np.asarray(cv2.dilate(beyond, np.ones((5, 5), np.uint8)), np.bool_)
