"""Diameters of single red cells in a field: the one thing on every slide whose size is known before anything is counted.

No model and no um/px is needed: what is round, whole, of one piece and as large as most such things of a slide is a red cell.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image

LONG_SIDES_PX = (520, 1300)
"""A larger field is looked at smaller, which is fast and smooths outlines; less so where the cells are then too small."""

MIN_CONTRAST = 0.03
"""Of optical density: less is an empty slide."""

GRID = 8
"""The light is judged in so many times so many parts of a field."""

SOLID, ROUND, EVEN = 0.93, 0.84, 1.3
"""Area to that of the convex hull; 4 pi area to the hull's perimeter squared; long to short axis: a cell that touches none."""

NUCLEUS = 2.2
"""Times the density of red cells: darker is a leukocyte."""

LEVEL = 0.5
"""Of the cells' density: half way up is where an edge is, however soft."""

_LOG = np.log(np.maximum(np.arange(256, dtype=np.float32), 4))
"""Of a grey level; darker ones are noise."""

SMALLEST_PX, CLEAR_PX, ENOUGH = 14, 22, 3
"""What looks smaller is none; smaller cells than clear ones, or fewer, are looked for again in a less reduced field."""


@dataclass(frozen=True, slots=True)
class RoundThings:
    """Diameters of circles of their area, float64 [n], and centres, float64 [n, 2] as x, y; pixels of the field."""

    diameters_px: NDArray[np.float64]
    centres_px: NDArray[np.float64]


def find_red_cells(image: Image) -> RoundThings:
    """Round, whole, single things in a field, BGR uint8 [H, W, 3]."""
    found, shrink = RoundThings(np.zeros(0), np.zeros((0, 2))), 1.0
    for long_side_px in LONG_SIDES_PX:
        shrink = max(1.0, max(image.shape[:2]) / long_side_px)
        small = image
        if shrink > 1:
            small = np.asarray(cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA), np.uint8)
        shown = _density(small) if min(small.shape[:2]) >= 4 * GRID else None
        if shown is None:
            break
        single = _single(*shown)
        found = RoundThings(single.diameters_px * shrink, single.centres_px * shrink)
        if len(single.diameters_px) >= ENOUGH and np.median(single.diameters_px) >= CLEAR_PX:
            return found
        if shrink == 1:
            break
    # Of cells about as small as the smallest only the larger ones were found.
    is_cut_off = len(found.diameters_px) and np.median(found.diameters_px) < 1.3 * SMALLEST_PX * shrink
    return RoundThings(np.zeros(0), np.zeros((0, 2))) if is_cut_off else found


def _density(image: Image) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Optical density over the empty slide in the channel that tells cells from it best, and where cells are; None for a field
    without any."""
    best: tuple[float, NDArray[np.float32], NDArray[np.bool_]] | None = None
    for at in (0, 1):
        channel = cv2.GaussianBlur(cv2.extractChannel(image, at), (0, 0), 1.0)
        density = _light(np.asarray(channel, np.uint8))
        np.log(density, out=density)
        density -= np.asarray(cv2.LUT(channel, _LOG), np.float32)
        inside = density > _otsu(density)
        here = inside.view(np.uint8)
        if not 0.02 < cv2.countNonZero(here) / here.size < 0.9:
            continue
        (cells, cells_spread), (slide, slide_spread) = (
            [float(found.item()) for found in cv2.meanStdDev(density, mask=where)] for where in (here, 1 - here)
        )
        spread = math.hypot(cells_spread, slide_spread)
        if cells - slide > MIN_CONTRAST and (best is None or (cells - slide) / spread > best[0]):
            best = (cells - slide) / max(spread, 1e-6), density, inside
    return best[1:] if best else None


def _light(channel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Brightness of the empty slide over the field: a plane curved in x and y through the brightest of each part."""
    height, width = channel.shape
    rows, columns = np.linspace(0, height, GRID + 1).astype(int), np.linspace(0, width, GRID + 1).astype(int)
    parts = [
        [_percentile(channel[top:bottom:2, left:right:2], 92) for left, right in pairwise(columns)]
        for top, bottom in pairwise(rows)
    ]
    value = np.array(parts).ravel()
    terms = _terms(*np.meshgrid(np.linspace(-1, 1, GRID), np.linspace(-1, 1, GRID)))
    kept = np.ones(len(value), bool)
    for _ in range(4):
        curve = np.linalg.lstsq(terms[kept], value[kept], rcond=None)[0]
        off = value - terms @ curve
        # Parts without any empty slide are darker; brighter ones do not occur.
        kept = off > -1.0 * max(float(np.std(off[kept])), 1.0)
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    c = curve
    # One product of two thin matrices: the sums of the curve over a whole field, one after the other, took twice as long.
    down = np.stack((np.ones_like(y), c[2] * y + c[4] * y**2, c[5] * y), axis=1)
    across = np.stack((c[0] + c[1] * x + c[3] * x**2, np.ones_like(x), x))
    light = down.astype(np.float32) @ across.astype(np.float32)
    return np.asarray(np.maximum(light, 8, out=light), np.float32)


def _percentile(part: NDArray[np.uint8] | NDArray[np.float32], percent: float) -> float:
    """As numpy's own gives it in many times as long."""
    value = part.ravel()
    at = percent / 100 * (value.size - 1)
    below, above = int(at), math.ceil(at)
    ordered = np.partition(value, (below, above))
    return float(ordered[below]) + (at - below) * (float(ordered[above]) - float(ordered[below]))


def _terms(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = x.ravel(), y.ravel()
    return np.stack((np.ones_like(x), x, y, x**2, y**2, x * y), axis=1)


def _otsu(density: NDArray[np.float32]) -> float:
    """The level between empty slide and cells. Nuclei count no more than red cells, which cover far more of a field."""
    some = density[density > MIN_CONTRAST]
    top = 2 * float(np.median(some, overwrite_input=True)) if some.size else 1.0
    scaled = density * (225 / top)
    scaled += 30
    level, _ = cv2.threshold(np.clip(scaled, 0, 255, out=scaled).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return (level - 30) * top / 225


def _single(density: NDArray[np.float32], inside: NDArray[np.bool_]) -> RoundThings:
    typical = float(np.median(density[inside], overwrite_input=True))
    mask = (density > LEVEL * typical).astype(np.uint8)
    height, width = mask.shape
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found, centres = [], []
    for outline in outlines:
        left, top, wide, high = cv2.boundingRect(outline)
        if min(wide, high) < SMALLEST_PX or max(wide, high) > 1.6 * min(wide, high):
            continue
        if left == 0 or top == 0 or left + wide == width or top + high == height:
            continue
        # The outline runs through the centres of its pixels: half a pixel is missing all around.
        length = cv2.arcLength(outline, True)
        area = cv2.contourArea(outline) + length / 2
        hull = cv2.convexHull(outline)
        around = cv2.arcLength(hull, True)
        # Round by the hull: noise makes the outline itself long.
        if area < SOLID * (cv2.contourArea(hull) + around / 2) or 4 * math.pi * area < ROUND * around**2:
            continue
        centre, axes, _ = cv2.minAreaRect(hull)
        if max(axes) > EVEN * min(axes):
            continue
        part = density[top : top + high, left : left + wide]
        if _percentile(part, 85) > NUCLEUS * typical:
            continue
        found.append(2 * math.sqrt(area / math.pi))
        centres.append(centre)
    return RoundThings(np.array(found, np.float64), np.array(centres, np.float64).reshape(-1, 2))
