"""The line spacing of a stage micrometer in pixels, whatever the scale's rotation, polarity and tick lengths."""

from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calib.lines import Profile1D, Spacing, line_centres, regular_spacing
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

Grey = NDArray[np.float32]

MIN_COHERENCE = 0.15
"""0: edges in all directions alike, 1: in one direction only."""

MIN_CONTRAST = 0.02
"""Of the local brightness: flatter than this the image shows no lines."""

STRIPS = 16
"""Strips across the lines that are looked at one by one, so that short ticks are not lost among long ones."""

SAME_SPACING = 0.05
MIN_ALIKE = 2
"""Strips whose spacings agree within `SAME_SPACING`: one strip alone may be regular by chance."""

MIN_DEPTH = 0.3
"""Of the deepest strip's range: a strip with less shows no ticks."""

MIN_COVER = 0.3
MIN_COLUMNS = 16
"""A turned image has empty corners: a column counts when this share of it is image."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A measured scale; `normal_deg` is the direction across the lines, counter-clockwise from x, within +-90."""

    spacing: Spacing
    normal_deg: float


def measure_scale(image: Image) -> Scale:
    """Measure the spacing of the finest regular lines in a micrometer image, uint8 BGR [H, W, 3].

    Raises `DataError` when there are no lines, no single direction, fewer than three lines, or a line is missing.
    """
    grey = _flattened(image)
    angle = _refined(grey, _normal_direction(grey))
    spacing = regular_spacing(line_centres(_finest_profile(_Turned(grey, angle, cv2.INTER_CUBIC))))
    return Scale(spacing, (float(-np.degrees(angle)) + 90) % 180 - 90)


def _flattened(image: Image) -> Grey:
    """Relative deviation from the local brightness: uneven illumination divided away. Lines become positive."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    background = cv2.GaussianBlur(cv2.resize(grey, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA), (0, 0), 12)
    background = cv2.resize(background, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_LINEAR)
    relative = np.asarray(grey / np.maximum(background, 1.0) - 1.0, np.float32)
    smooth = np.asarray(cv2.GaussianBlur(relative, (0, 0), 2), np.float32)
    if float(np.percentile(smooth, 99) - np.percentile(smooth, 1)) < MIN_CONTRAST:
        raise DataError("the image shows no lines (it is nearly uniform); focus on the stage micrometer and take it again.")
    # Lines cover less area than the gaps, so the longer tail of the histogram is theirs: dark on bright or bright on dark.
    skew = float(np.mean((smooth - smooth.mean()) ** 3))
    return relative if skew > 0 else -relative


def _normal_direction(grey: Grey) -> float:
    """Direction across the lines in radians, from the eigenvectors of the mean structure tensor (Bigun and Granlund, 1987)."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 2)
    dx = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), np.float32)
    dy = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1), np.float32)
    xx, yy, xy = float(np.mean(dx * dx)), float(np.mean(dy * dy)), float(np.mean(dx * dy))
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy)
    if coherence < MIN_COHERENCE:
        raise DataError(
            "the image has no single line direction; use the line scale of the stage micrometer, not a grid or text."
        )
    return float(0.5 * np.arctan2(2 * xy, xx - yy))


def _refined(grey: Grey, angle: float) -> float:
    """Turn until the lines stand sharpest in the strips' profiles: the ends of the ticks bias the structure tensor.

    Higher strips tell a smaller angle but only once lines no longer run into their neighbours, so coarse comes first.
    """
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.5), np.float32)

    def sharpness(turn: float, strips: int) -> float:
        turned = _Turned(smooth, turn, cv2.INTER_LINEAR)
        edges = ((np.diff(strip.profile) ** 2).sum() * len(strip.rows) for strip in turned.strips(strips))
        return float(sum(edges))

    for step_deg, strips in ((1.0, STRIPS), (0.3, STRIPS // 4), (0.08, 1)):
        angle = max((angle + np.radians(step_deg * k) for k in range(-3, 4)), key=lambda turn: sharpness(turn, strips))
    return angle


@dataclass(frozen=True, slots=True)
class _Strip:
    """Rows of a turned image and the mean over them, across the lines."""

    rows: NDArray[np.intp]
    profile: Profile1D


class _Turned:
    """An image turned so that its lines run along columns, scale unchanged, with what the image covers of it."""

    def __init__(self, grey: Grey, angle: float, interpolation: int) -> None:
        height, width = grey.shape
        cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
        size = (int(width * cos + height * sin), int(width * sin + height * cos))
        centre = ((width - 1) / 2, (height - 1) / 2)
        turn = np.asarray(cv2.getRotationMatrix2D(centre, float(np.degrees(angle)), 1.0), np.float64)
        turn[:, 2] += ((size[0] - width) / 2, (size[1] - height) / 2)
        self.covered = cv2.warpAffine(np.ones_like(grey), turn, size, flags=cv2.INTER_NEAREST)
        self.pixels = cv2.warpAffine(grey, turn, size, flags=interpolation) * self.covered

    def strip(self, rows: NDArray[np.intp]) -> _Strip | None:
        """Mean over rows, from the first to the last column that the image covers well; None when those are too few."""
        weight = self.covered[rows].sum(axis=0)
        columns = np.flatnonzero(weight >= MIN_COVER * len(rows))
        if len(columns) < MIN_COLUMNS:
            return None
        span = slice(int(columns[0]), int(columns[-1]) + 1)
        mean = self.pixels[rows, span].sum(axis=0) / np.maximum(weight[span], 1)
        return _Strip(rows, np.asarray(mean, np.float64))

    def strips(self, number: int) -> list[_Strip]:
        every = np.array_split(np.arange(self.pixels.shape[0]), number)
        return [strip for strip in map(self.strip, every) if strip is not None]


def _finest_profile(turned: _Turned) -> Profile1D:
    """Mean over the strips that show the finest regular lines; over the whole image when no strip is regular."""
    strips = turned.strips(STRIPS)
    depth = [float(np.ptp(np.percentile(strip.profile, (2, 98)))) for strip in strips]
    spacings: list[tuple[float, _Strip]] = []
    for strip, own in zip(strips, depth, strict=True):
        # A faint strip lies beside the ticks; an irregular one runs through numerals or dirt: neither has a say.
        if own >= MIN_DEPTH * max(depth):
            with suppress(DataError):
                spacings.append((regular_spacing(line_centres(strip.profile)).spacing_px, strip))
    rows: NDArray[np.intp] = np.arange(turned.pixels.shape[0])
    for finest, _ in sorted(spacings, key=lambda pair: pair[0]):
        alike = [strip.rows for spacing, strip in spacings if abs(spacing / finest - 1) <= SAME_SPACING]
        if len(alike) >= MIN_ALIKE:
            rows = np.concatenate(alike)
            break
    chosen = turned.strip(rows)
    if chosen is None:
        raise DataError("the image is too small to measure a scale in; use the camera's full field.")
    return chosen.profile
