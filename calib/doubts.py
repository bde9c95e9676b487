"""What makes a regular pattern no scale, or not the whole of it: each doubt is a sentence."""

import numpy as np

from calib.flicker import flicker
from calib.folding import PHASES, Seen, folded
from calib.hidden_ticks import finer_sentence, hidden_by_blur

MIN_SPACING_PX = 5.0

FINER = 0.9
"""A row whose spacing is below so much of the scale's is finer."""

MIN_FINER_HEIGHT = 0.06
"""Of the scale's lines: fainter rows are compression or noise."""

MIN_HIDDEN_HEIGHT = 0.02
HIDDEN_SIGMAS = 6.0
FRACTIONS = (2, 3, 4, 5, 6, 8, 10)
"""Finer lines that blur has nearly washed out show when all spacings are laid over each other."""


GHOST = 0.75
"""Every second line lower than so much of the others: a double image, or lines of two scales."""


def doubt(seen: Seen) -> str | None:
    """Why the scale is not to be trusted, or None."""
    lattice = seen.lattice
    if lattice.spacing_px < MIN_SPACING_PX:
        return (
            f"the lines are {lattice.spacing_px:.1f} px apart and the camera cannot separate lines closer than "
            f"{MIN_SPACING_PX:.0f} px; use a higher magnification or a coarser scale."
        )
    for check in (flicker, _finer, _second_scale, _ghost, _washed_out, hidden_by_blur):
        if sentence := check(seen):
            return sentence
    return None


def _finer(seen: Seen) -> str | None:
    own = seen.lattice
    strong = max([own.height, *(row.height for row in seen.rows)])
    for row in seen.rows:
        if row.spacing_px < FINER * own.spacing_px and row.height >= MIN_FINER_HEIGHT * strong and len(row.lines.centre) > 5:
            return finer_sentence(row.spacing_px, own.spacing_px)
    return None


def _second_scale(seen: Seen) -> str | None:
    """Even rows that are no multiple of the scale's spacing."""
    own = seen.lattice
    for kind in (0, 1):
        others = [row for row in seen.rows if row.kind == kind and row.height >= 2 * MIN_FINER_HEIGHT * own.height]
        odd = [row for row in others if len(row.lines.centre) > 5 and _off_multiple(row.spacing_px / own.spacing_px)]
        if len({row.y for row in odd}) >= 3:
            other = float(np.median([row.spacing_px for row in odd]))
            return (
                f"the image shows lines {own.spacing_px:.1f} px apart and others {other:.1f} px apart; "
                "show one scale alone, and take an eyepiece's scale out of the light path."
            )
    return None


def _off_multiple(ratio: float) -> bool:
    return abs(ratio - max(round(ratio), 1)) > 0.06 * max(ratio, 1)


def _ghost(seen: Seen) -> str | None:
    height: dict[int, list[float]] = {0: [], 1: []}
    for line in seen.lattice.lines:
        height[line.number % 2].append(line.height)
    if len(height[0]) < 2 or len(height[1]) < 2:
        return None
    low, high = sorted(float(np.median(each)) for each in height.values())
    if low >= GHOST * high:
        return None
    return (
        f"every second line is fainter ({100 * low / high:.0f} % of the others), as in a double image or where two scales "
        "overlap, so the spacing is uncertain by a factor of two; focus, and move to a part with lines of one kind."
    )


def _washed_out(seen: Seen) -> str | None:
    """Finer lines in any band, found by laying all spacings of the scale over each other."""
    own = seen.lattice
    limit = MIN_HIDDEN_HEIGHT * own.height
    tall = [band for band in seen.bands if band.kind == 1] or seen.bands
    for band in tall:
        profile, error = folded(seen, [band])
        if not len(profile):
            continue
        error = max(error, band.noise / np.sqrt(len(band.profile) / PHASES))
        for parts in FRACTIONS:
            places = [round(PHASES * k / parts) for k in range(1, parts)]
            half = max(1, round(PHASES / parts / 2))
            stands = np.array(
                [profile[at] - (profile[(at - half) % PHASES] + profile[(at + half) % PHASES]) / 2 for at in places]
            )
            sure = stands.min() > max(limit, HIDDEN_SIGMAS * error / np.sqrt(len(places)))
            if sure and stands.min() > 0.5 * np.median(stands) and own.spacing_px / parts > 2:
                return finer_sentence(own.spacing_px / parts, own.spacing_px)
    return None
