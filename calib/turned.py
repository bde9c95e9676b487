"""An image turned so that its lines stand upright, and the profiles across them, band of rows by band of rows."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.illumination import Grey, Mask
from calib.lines import Profile1D

MIN_COLUMNS = 32

ROWS_OF_A_BAND = 10
"""The lowest bands: short ticks fill one, and lines a degree askew are not smeared in it."""

BANDS = 80
"""At most so many of the lowest bands in an image."""

TALLER = 5
"""The other bands are so many times as high: they see through noise."""

DIRECTIONS = 3
APART_DEG = 12


@dataclass(frozen=True, slots=True)
class Band:
    """Rows of a turned image, their middle `y`, and the median over them from column `first` on, whose noise is `noise`."""

    y: float
    first: int
    profile: Profile1D
    kind: int
    noise: float


class Turned:
    """`grey` turned by `angle` (radians; direction across the lines, y down) at its own scale."""

    def __init__(self, grey: Grey, field: Mask, angle: float) -> None:
        height, width = grey.shape
        cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
        size = (int(np.ceil(width * cos + height * sin)), int(np.ceil(width * sin + height * cos)))
        turn = np.asarray(
            cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(np.degrees(angle)), 1.0), np.float64
        )
        turn[:, 2] += ((size[0] - width) / 2, (size[1] - height) / 2)
        covered = cv2.warpAffine(field.astype(np.uint8), turn, size, flags=cv2.INTER_NEAREST)
        self.matrix = turn
        self.covered = cv2.erode(covered, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(bool)
        self.pixels: Grey = np.asarray(cv2.warpAffine(grey, turn, size, flags=cv2.INTER_CUBIC), np.float32)

    def bands(self) -> list[Band]:
        """Low ones and tall ones, from the top."""
        low = max(ROWS_OF_A_BAND, round(self.pixels.shape[0] / BANDS))
        both = ((low, 0), (TALLER * low, 1))
        found = [self._band(top, rows, kind) for rows, kind in both for top in range(0, self.pixels.shape[0] - rows + 1, rows)]
        return [band for band in found if band is not None]

    def _band(self, top: int, rows: int, kind: int) -> Band | None:
        whole = self.covered[top : top + rows].all(axis=0)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], whole.astype(np.int8), [0]))))
        starts, ends = edges[::2], edges[1::2]
        if not len(starts) or int((ends - starts).max()) < MIN_COLUMNS:
            return None
        longest = int(np.argmax(ends - starts))
        first, last = int(starts[longest]), int(ends[longest])
        # The median: dust and a scratch across the lines cover some rows of a band, not most of them.
        pixels = self.pixels[top : top + rows, first:last]
        profile = np.median(pixels, axis=0)
        # Along the lines nothing changes but noise; 1.25 is what a median of many has over a mean.
        steps = np.diff(pixels[:TALLER], axis=0)
        noise = 1.25 * 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(2 * rows)
        return Band(top + (rows - 1) / 2, first, np.asarray(profile, np.float64), kind, noise)


def directions(grey: Grey, field: Mask) -> list[tuple[float, float]]:
    """Directions that most edges of the image stand across, in radians, strongest first, each with its share of the edges."""
    votes: NDArray[np.float64] = np.zeros(360)
    for shrink in (1, 3):
        small = cv2.resize(grey, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        inside = cv2.resize(field.astype(np.uint8), (small.shape[1], small.shape[0]), interpolation=cv2.INTER_NEAREST)
        inside = cv2.erode(inside, np.ones((9, 9), np.uint8))
        smooth = np.clip(cv2.GaussianBlur(small, (0, 0), 1.5), -1, 1)
        dx, dy = (cv2.Scharr(smooth, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
        strength = np.asarray(np.hypot(dx, dy) * inside, np.float64)
        angle = np.degrees(np.arctan2(dy, dx)) % 180
        counted = np.bincount((angle.ravel() * 2).astype(int) % 360, strength.ravel() ** 2, minlength=360)
        votes += counted / max(float(counted.sum()), 1e-12)
    wide = np.concatenate((votes, votes, votes))
    smooth_votes = np.convolve(wide, np.hanning(9) / np.hanning(9).sum(), "same")[360:720]
    found: list[float] = []
    shares = []
    for at in np.argsort(-smooth_votes):
        degrees = (float(at) + 0.5) / 2
        if all(min(abs(degrees - other), 180 - abs(degrees - other)) >= APART_DEG for other in found):
            found.append(degrees)
            shares.append(float(smooth_votes[at]))
        if len(found) == DIRECTIONS:
            break
    angles = [float(np.radians(degrees if degrees <= 90 else degrees - 180)) for degrees in found]
    return list(zip(angles, shares, strict=True))
