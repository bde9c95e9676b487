"""Ticks between the lines that a blur has washed out: a scale measured without them would be five or ten times too large."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from calib.folding import PHASES, Seen, folded

PARTS = (10, 5, 2)
"""Into which rulers divide the distance of their longer lines."""

WASHED_OUT = 0.34
"""Blur (standard deviation) to distance of ticks: a tenth of their contrast is left."""

FINEST_PX = 2.5
"""Ticks closer than that are no scale for this camera in any focus."""

MAX_SHADE = 0.12
"""Of the lines' height: what washed-out ticks leave is at least a quarter, unless they are far thinner."""

FINE_PX, NARROW = 4.0, 2
"""A base line, too, is a shade between the lines, in no more than so many of the lowest bands: closer ticks are not feared."""

LONGER = 0.8
"""Of the lines at each fifth or tenth place must be longer to be the ruler's longer ones."""


def finer_sentence(finer: float, spacing: float) -> str:
    """Finer lines are there, but cannot be measured."""
    return (
        f"beside lines {spacing:.1f} px apart there are finer ones, about {finer:.1f} px apart, that are too short or too "
        "faint to be measured; focus on the scale and move its shortest lines into the middle of the field."
    )


def hidden_by_blur(seen: Seen) -> str | None:
    """Why finer ticks may be nothing but a shade between the lines, or None."""
    own = seen.lattice
    sigma = blur_px(seen)
    hidden = [own.spacing_px / parts for parts in PARTS if FINEST_PX <= own.spacing_px / parts < sigma / WASHED_OUT]
    if not hidden or has_longer_lines(seen):
        return None
    top, bottom = min(line.top for line in own.lines), max(line.bottom for line in own.lines)
    low = [band for band in seen.bands if band.kind == 0]
    margin = 4 * float(np.median(np.diff([band.y for band in low]))) if len(low) > 1 else 0.0
    folds = [folded(seen, [band])[0] for band in low if top - margin <= band.y <= bottom + margin]
    between = np.array([np.median(each[int(0.4 * PHASES) : int(0.6 * PHASES)]) for each in folds if len(each)])
    height = float(np.ptp(folded(seen, seen.own_bands)[0]))
    if not len(between):
        return None
    shaded = between - np.percentile(between, 10) > MAX_SHADE * height
    if not shaded.any() or (max(hidden) < FINE_PX and shaded.sum() <= NARROW):
        return None
    return (
        "the image is out of focus, and a shade between the lines may be finer ticks that cannot be told apart; "
        "focus on the scale until its shortest lines are seen."
    )


def blur_px(seen: Seen) -> float:
    """Standard deviation of the blur in pixels: from the steepest flank of each line, the median of all.

    A wide line has edges like a step, rise = sqrt(2 pi) sigma; a narrow one is a Gaussian, rise = sqrt(e) sigma. The lesser of
    the two is taken, but for lines that have a plateau.
    """
    own = seen.lattice
    step = np.arange(-own.spacing_px / 2, own.spacing_px / 2 + 0.25, 0.5)
    pieces = []
    for band in seen.own_bands:
        places = np.arange(len(band.profile))
        for line in own.lines:
            at = line.x + own.lean * band.y - band.first + step
            if at[0] >= 0 and at[-1] <= places[-1]:
                pieces.append(np.interp(at, places, seen.sign * band.profile))
    if not pieces:
        return own.spacing_px
    # All lines over each other, so that it is not the noise that is steepest.
    piece = gaussian_filter1d(np.median(pieces, axis=0), 1.5)
    height, steepest = float(np.ptp(piece)), 2 * float(np.abs(np.diff(piece)).max())
    if steepest <= 0:
        return own.spacing_px
    as_step, as_peak = height / steepest / np.sqrt(2 * np.pi), height / steepest / np.sqrt(np.e)
    width = float((piece > piece.min() + height / 2).sum()) / 2
    return float(as_step if width > 4 * as_step else as_peak)


def has_longer_lines(seen: Seen) -> bool:
    """Whether each fifth or tenth line is longer and no other: these are a ruler's finest, then."""
    own = seen.lattice
    number = np.array([line.number for line in own.lines])
    if len(number) < 6:
        return False
    lengths = _lengths(seen)
    short = float(np.median(lengths))
    long = lengths > short + max(1.0, 0.15 * short)
    for step in (5, 10):
        for first in range(step):
            placed = (number % step) == first
            others = long & ~placed
            if placed.sum() >= 2 and long[placed].mean() >= LONGER and others.sum() <= 0.1 * long[placed].sum():
                return True
    return False


def _lengths(seen: Seen) -> NDArray[np.float64]:
    """In how many of the lowest bands each line stands out."""
    own = seen.lattice
    x = np.array([line.x for line in own.lines])
    shown: NDArray[np.float64] = np.zeros(len(x))
    for band in seen.bands:
        if band.kind == 0:
            at = x + own.lean * band.y - band.first
            places = np.arange(len(band.profile))
            here, left, right = (
                np.interp(at + shift * own.spacing_px, places, seen.sign * band.profile, left=np.nan, right=np.nan)
                for shift in (0, -0.5, 0.5)
            )
            shown += np.nan_to_num(here - np.fmax(left, right)) > 0.4 * own.height
    return shown
