"""Lines in a 1-D profile: sub-pixel centres and their regular spacing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from edge.contracts.errors import DataError

Profile1D = NDArray[np.float64]

LEVELS = (0.35, 0.5, 0.65)
"""Shares of a line's height at which its two flanks are located; their midpoints are averaged."""

MIN_PROMINENCE = 0.3
"""Of the profile's robust range: a weaker line is dust or noise."""

MAX_RESIDUAL = 0.08
"""Of the spacing: a line further from its place on the scale means that something else was taken for a line."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Spacing of regular lines: position = offset + spacing * number, by least squares.

    `standard_error_px` is that of the slope: sqrt(RSS / (n - 2) / sum((i - mean i)^2)).
    """

    spacing_px: float
    standard_error_px: float
    residual_px: float
    lines: int


def line_centres(profile: Profile1D) -> Profile1D:
    """Centres of the bright lines of a profile, ascending, in samples; empty when there is none.

    A line whose flank lies outside the profile is left out, because its centre cannot be told.
    """
    smooth = gaussian_filter1d(profile, 1.0)
    low, high = np.percentile(smooth, (2, 98))
    peaks, found = find_peaks(smooth, prominence=max(MIN_PROMINENCE * (high - low), 1e-9))
    centres = []
    for peak, left, right in zip(peaks, found["left_bases"], found["right_bases"], strict=True):
        base = max(smooth[left], smooth[right])
        flanks = [_flanks(smooth, int(peak), base + level * (smooth[peak] - base)) for level in LEVELS]
        if all(flank is not None for flank in flanks):
            centres.append(float(np.mean([flank for flank in flanks if flank is not None])))
    return np.asarray(centres, np.float64)


def _flanks(profile: Profile1D, peak: int, level: float) -> tuple[float, float] | None:
    """Where the profile falls through `level` on either side of the peak, by linear interpolation."""
    left, right = peak, peak
    while left > 0 and profile[left] > level:
        left -= 1
    while right < len(profile) - 1 and profile[right] > level:
        right += 1
    if profile[left] > level or profile[right] > level:
        return None
    rise = profile[left + 1] - profile[left]
    fall = profile[right - 1] - profile[right]
    return left + (level - profile[left]) / rise, right - (level - profile[right]) / fall


def regular_spacing(centres: Profile1D) -> Spacing:
    """Spacing of lines that are all there. Raises `DataError` for fewer than three lines or an irregular scale."""
    if len(centres) < 3:
        raise DataError(
            f"only {len(centres)} complete lines were found and at least 3 are needed; "
            "focus on the scale, or use a lower magnification or a finer scale."
        )
    gaps = np.diff(centres)
    typical = float(np.median(gaps))
    odd = int(np.argmax(np.abs(gaps - typical)))
    number = np.arange(len(centres))
    spacing, offset = np.polyfit(number, centres, 1)
    residuals = centres - (offset + spacing * number)
    if np.abs(residuals).max() > MAX_RESIDUAL * typical:
        raise DataError(
            f"the lines are not evenly spaced: line {odd + 1} to {odd + 2} is {gaps[odd]:.1f} px, most are {typical:.1f} px; "
            "a line is hidden or dirt was taken for one, so clean the scale or move to another part of it."
        )
    rss = float((residuals**2).sum())
    error = np.sqrt(rss / (len(centres) - 2) / float(((number - number.mean()) ** 2).sum()))
    return Spacing(float(spacing), float(error), float(np.sqrt(rss / len(centres))), len(centres))
