"""Lines in a 1-D profile: sub-pixel centres, rows of evenly spaced ones among them, and their regular spacing."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks, peak_widths

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

MOST = 0.7
"""Of all lines: no other row is longer than one with so many of them."""

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
    if not len(peaks):
        return Peaks(np.zeros(0), np.zeros(0))
    height = np.asarray(found["prominences"], np.float64)
    # What is too low for any row is left out before the dear part.
    tall = height >= SHARES[-1] * typical_height(height)
    peaks, height = peaks[tall], height[tall]
    own = (height, found["left_bases"][tall], found["right_bases"][tall])
    flanks = []
    for level in LEVELS:
        _, _, left, right = peak_widths(smooth, peaks, 1 - level, own)
        flanks.append((left, right))
    centre = np.mean(flanks, axis=(0, 1))
    ends = np.array(flanks)
    whole = (ends[:, 0].min(axis=0) > found["left_bases"][tall]) & (ends[:, 1].max(axis=0) < found["right_bases"][tall])
    return Peaks(np.asarray(centre, np.float64)[whole], height[whole])


def typical_height(height: Profile1D) -> float:
    """The fifth largest, or the least of fewer."""
    return float(np.sort(height)[-min(len(height), MIN_LINES) :].min())


def even_rows(peaks: Peaks, fewest: int) -> list[Peaks]:
    """The longest row of at least `fewest` evenly spaced lines at each share of the height, without those twice."""
    if len(peaks.centre) < fewest:
        return []
    typical = typical_height(peaks.height)
    rows: list[Peaks] = []
    n_tall = 0
    for share in SHARES:
        tall = peaks.height >= share * typical
        if tall.sum() == n_tall:
            continue
        n_tall = tall.sum()
        row = _longest_row(peaks.centre[tall].tolist(), fewest)
        if row is not None:
            rows.append(Peaks(peaks.centre[tall][row], peaks.height[tall][row]))
    return rows


def spacing_of(row: Peaks) -> float:
    """Mean distance between the lines of a row."""
    return float(row.centre[-1] - row.centre[0]) / (len(row.centre) - 1)


def _longest_row(centres: list[float], fewest: int) -> list[int] | None:
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
                if len(best) > MOST * len(centres):
                    return best
    return best


def _grown(centres: list[float], first: int, second: int) -> list[int]:
    """The row that begins with two lines, continued both ways as long as the next line is where it is expected."""
    up, down = [first, second], [first]
    last, start, n = second, first, 2
    for row, step in ((up, 1), (down, -1)):
        while True:
            gap = (centres[last] - centres[start]) / (n - 1)
            expected = centres[last] + gap if step > 0 else centres[start] - gap
            at = bisect_left(centres, expected)
            if at == len(centres) or (at and expected - centres[at - 1] < centres[at] - expected):
                at -= 1
            if at in (start, last) or abs(centres[at] - expected) > STEP_TOLERANCE * gap:
                break
            row.append(at)
            n += 1
            last, start = (at, start) if step > 0 else (last, at)
    return down[:0:-1] + up


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
