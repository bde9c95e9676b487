"""Lines in a 1-D profile: sub-pixel centres, rows of evenly spaced ones among them, and their regular spacing."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from edge.contracts.errors import DataError

Profile1D = NDArray[np.float64]

LEVELS = (0.35, 0.5, 0.65)
"""Shares of a line's height at which its two flanks are located; their midpoints are averaged."""

SHARES = (0.5, 0.25, 0.12)
"""Of a typical strong line's height: what is lower is no line. All are tried: faint ticks may stand among strong ones."""

NOISE_SIGMAS = 5.0

MIN_LINES = 5
"""Two distances between three lines agree by chance; four between five do not."""

MAX_RESIDUAL = 0.01
"""Of the spacing, rms: a scale's lines are where they belong; beyond it something else was taken for a line."""

MAX_STANDARD_ERROR = 0.0015
"""Of the spacing: a third of half a per cent."""

STEP_TOLERANCE = 0.08
"""Of the spacing: how far the next line of a row may be from where it is expected."""

MAX_EXTRA = 0.25
"""Lines between the lines of a row (dust, scratches) for each of its own."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Spacing of regular lines: position = offset + spacing * number, by least squares.

    `standard_error_px` is that of the slope: sqrt(RSS / (n - 2) / sum((i - mean i)^2)).
    """

    spacing_px: float
    standard_error_px: float
    residual_px: float
    lines: int


@dataclass(frozen=True, slots=True)
class Peaks:
    """Lines of a profile, ascending: centre in samples, height over its surroundings."""

    centre: Profile1D
    height: Profile1D


def bright_lines(profile: Profile1D, noise: float = 0.0) -> Peaks:
    """All bright lines of a profile that stand out of its noise (standard deviation).

    A line whose flank lies outside the profile is left out, because its centre cannot be told.
    """
    smooth = gaussian_filter1d(profile, 1.0)
    peaks, found = find_peaks(smooth, prominence=max(NOISE_SIGMAS * noise * 0.5, 2e-3))
    centres, heights = [], []
    for peak, left, right, height in zip(peaks, found["left_bases"], found["right_bases"], found["prominences"], strict=True):
        base = max(smooth[left], smooth[right])
        flanks = [_flanks(smooth, int(peak), base + level * (smooth[peak] - base)) for level in LEVELS]
        if all(flank is not None for flank in flanks):
            centres.append(float(np.mean([flank for flank in flanks if flank is not None])))
            heights.append(float(height))
    order = np.argsort(centres)
    return Peaks(np.asarray(centres, np.float64)[order], np.asarray(heights, np.float64)[order])


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


def even_rows(peaks: Peaks, fewest: int) -> list[Peaks]:
    """The longest row of at least `fewest` evenly spaced lines at each share of the height, without those twice."""
    if len(peaks.centre) < fewest:
        return []
    typical = float(np.sort(peaks.height)[-min(len(peaks.height), 5) :].min())
    rows: list[Peaks] = []
    for share in SHARES:
        tall = peaks.height >= share * typical
        row = _longest_row(peaks.centre[tall], fewest)
        if row is not None:
            rows.append(Peaks(peaks.centre[tall][row], peaks.height[tall][row]))
    return rows


def spacing_of(row: Peaks) -> float:
    """Mean distance between the lines of a row."""
    return float(row.centre[-1] - row.centre[0]) / (len(row.centre) - 1)


def _longest_row(centres: Profile1D, fewest: int) -> list[int] | None:
    best: list[int] | None = None
    seen: set[tuple[int, int]] = set()
    for first in range(len(centres) - 1):
        for second in (first + 1, first + 2):
            if second >= len(centres) or (first, second) in seen:
                continue
            row = _grown(centres, first, second)
            seen.update(pairwise(row))
            extra = row[-1] - row[0] + 1 - len(row)
            if len(row) >= fewest and extra <= MAX_EXTRA * len(row) and (best is None or len(row) > len(best)):
                best = row
    return best


def _grown(centres: Profile1D, first: int, second: int) -> list[int]:
    """The row that begins with two lines, continued both ways as long as the next line is where it is expected."""
    row = [first, second]
    for step in (1, -1):
        while True:
            gap = (centres[row[-1]] - centres[row[0]]) / (len(row) - 1)
            expected = (centres[row[-1]] if step > 0 else centres[row[0]]) + step * gap
            at = int(np.searchsorted(centres, expected))
            near = min((i for i in (at - 1, at) if 0 <= i < len(centres)), key=lambda i: abs(centres[i] - expected))
            if near in (row[0], row[-1]) or abs(centres[near] - expected) > STEP_TOLERANCE * gap:
                break
            row = [*row, near] if step > 0 else [near, *row]
    return row


def without_odd_ends(centres: Profile1D) -> Profile1D:
    """Without a first or last line that is not where the others say: at the border of the field half a line may be seen."""
    for end in (slice(1, None), slice(None, -1)):
        inner = centres[end]
        if len(inner) < MIN_LINES + 1:
            continue
        spacing, offset = np.polyfit(np.arange(len(inner)), inner, 1)
        expected, own = (offset - spacing, centres[0]) if end.start else (offset + spacing * len(inner), centres[-1])
        if abs(own - expected) > 2 * MAX_RESIDUAL * spacing:
            centres = inner
    return centres


def regular_spacing(centres: Profile1D) -> Spacing:
    """Spacing of lines that are all there.

    Raises `DataError` for fewer than `MIN_LINES` lines, an irregular scale, or a spacing that is not known well enough.
    """
    if len(centres) < MIN_LINES:
        raise DataError(
            f"only {len(centres)} complete lines were found and at least {MIN_LINES} are needed; "
            "focus on the scale, or use a lower magnification or a finer scale."
        )
    gaps = np.diff(centres)
    typical = float(np.median(gaps))
    odd = int(np.argmax(np.abs(gaps - typical)))
    number = np.arange(len(centres))
    spacing, offset = np.polyfit(number, centres, 1)
    residuals = centres - (offset + spacing * number)
    rss = float((residuals**2).sum())
    residual, error = np.sqrt(rss / len(centres)), np.sqrt(rss / (len(centres) - 2) / ((number - number.mean()) ** 2).sum())
    if residual > MAX_RESIDUAL * spacing:
        raise DataError(
            f"the lines are not evenly spaced: line {odd + 1} to {odd + 2} is {gaps[odd]:.1f} px, most are {typical:.1f} px, "
            f"and the lines are {100 * residual / spacing:.1f} % of that off a regular scale (limit "
            f"{100 * MAX_RESIDUAL:.0f} %); "
            "a line is hidden or dirt was taken for one, so clean the scale or move to another part of it."
        )
    if error > MAX_STANDARD_ERROR * spacing:
        raise DataError(
            f"{len(centres)} lines tell their spacing only to {100 * error / spacing:.2f} % (limit "
            f"{100 * MAX_STANDARD_ERROR:.2f} %); focus on the scale, or use one with more lines in the field."
        )
    return Spacing(float(spacing), float(error), float(residual), len(centres))
