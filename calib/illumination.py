"""What the camera saw without the lamp: brightness relative to smooth light, and the part of the image that is field."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image
from edge.contracts.errors import DataError

Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]

SHRINK = 8
"""Light is smooth: it is fitted on an image so many times smaller."""

DEGREE = 4
"""Of the polynomial in x and y: follows a lamp off centre and a vignette, but no line, however wide."""

FITS = 6
CLIP_SIGMA = 2.0

GLASS_PX = 17
"""Finer lines than that are bridged from gap to gap; wider ones are clipped away by the fit."""

STOP_SHARE = 0.12
"""Of the bright part's brightness: darker areas at two corners or more are a field stop, not glass."""

MIN_FIELD_SOLIDITY = 0.9
"""A field is round or square; what is left between dark areas that are lines is neither."""

MIN_CONTRAST = 0.01
"""Of the brightness: flatter than this the image shows no lines."""


def flattened(image: Image) -> tuple[Grey, Mask]:
    """Relative deviation from smooth light, and where the image is field. Dark lines are negative.

    Raises `DataError` for an image without contrast.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    field = _field(grey)
    relative = _relative(grey, field, _light(grey, field))
    # Of lines and gaps the wider are glass; once that is known, the light is measured on the glass alone.
    shape = cv2.MORPH_CLOSE if float((relative**3).sum()) < 0 else cv2.MORPH_OPEN
    calm = cv2.GaussianBlur(grey, (0, 0), 1.0)
    glass = cv2.morphologyEx(calm, shape, np.ones((GLASS_PX, GLASS_PX), np.uint8), borderType=cv2.BORDER_REPLICATE)
    relative = _relative(grey, field, _light(np.asarray(glass, np.float32), field))
    inside = np.asarray(cv2.GaussianBlur(relative, (0, 0), 2), np.float32)[field]
    if inside.size < 64 * 64 or float(np.percentile(inside, 99.5) - np.percentile(inside, 0.5)) < MIN_CONTRAST:
        raise DataError("the image shows no lines (it is nearly uniform); focus on the stage micrometer and take it again.")
    return relative, field


def _relative(grey: Grey, field: Mask, light: Grey) -> Grey:
    relative = np.asarray(grey / light - 1.0, np.float32)
    relative[~field] = 0
    return relative


def _light(grey: Grey, field: Mask) -> Grey:
    """A polynomial through the glass between the lines; lines and dust are clipped away."""
    small = cv2.resize(grey, None, fx=1 / SHRINK, fy=1 / SHRINK, interpolation=cv2.INTER_AREA)
    height, width = small.shape
    use = cv2.resize(field.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool).ravel()
    terms, values = _terms(height, width), small.ravel().astype(np.float64)
    kept: NDArray[np.bool_] = use.copy()
    fitted: NDArray[np.float64] = np.full_like(values, max(float(values[use].mean()) if use.any() else 1.0, 1.0))
    for _ in range(FITS):
        if kept.sum() < 4 * terms.shape[1]:
            break
        inner = terms[kept]
        fitted = terms @ np.linalg.solve(inner.T @ inner + 1e-9 * np.eye(terms.shape[1]), inner.T @ values[kept])
        off = values - fitted
        middle = float(np.median(off[use]))
        sigma = 1.4826 * float(np.median(np.abs(off[use] - middle))) + 0.5
        kept = use & (np.abs(off - middle) < CLIP_SIGMA * sigma)
    smooth = np.maximum(fitted, max(0.02 * float(values.max()), 1.0)).reshape(height, width).astype(np.float32)
    return np.asarray(cv2.resize(smooth, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _terms(height: int, width: int) -> NDArray[np.float64]:
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
    return np.stack([(x**i * y**j).ravel() for i, j in powers], axis=1)


def _field(grey: Grey) -> Mask:
    """Everything but a field stop, which is black, reaches at least two corners and leaves one solid piece."""
    whole: Mask = np.ones(grey.shape, np.bool_)
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), 3), np.float32)
    dark = (smooth < STOP_SHARE * float(np.percentile(smooth, 95))).astype(np.uint8)
    _, pieces = cv2.connectedComponents(dark)
    at_corners = [int(pieces[y, x]) for y in (0, -1) for x in (0, -1) if dark[y, x]]
    if len(at_corners) < 2:
        return whole
    stop = np.isin(pieces, at_corners).astype(np.uint8)
    field = cv2.erode(1 - stop, np.ones((25, 25), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    outlines, _ = cv2.findContours(field, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not outlines:
        return whole
    largest = max(outlines, key=cv2.contourArea)
    solid = cv2.contourArea(largest) / max(cv2.contourArea(cv2.convexHull(largest)), 1.0)
    alone = cv2.contourArea(largest) >= 0.9 * max(float(field.sum()), 1.0)
    big = cv2.contourArea(largest) >= 0.1 * field.size
    return field.astype(bool) if solid >= MIN_FIELD_SOLIDITY and alone and big else whole
