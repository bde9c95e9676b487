"""What makes a regular pattern no scale, or not the whole of it: each doubt is a sentence."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calib.lattice import Lattice, Row
from calib.lines import Profile1D
from calib.turned import Band

MIN_SPACING_PX = 5.0

FINER = 0.9
"""A row whose spacing is below so much of the scale's is finer."""

MIN_FINER_HEIGHT = 0.06
"""Of the scale's lines: fainter rows are compression or noise."""

MIN_HIDDEN_HEIGHT = 0.02
HIDDEN_SIGMAS = 6.0
FRACTIONS = (2, 3, 4, 5, 6, 8, 10)
"""Finer lines that blur has nearly washed out show when all spacings are laid over each other."""

MAX_SIGMA = 0.034
"""Of the spacing: blur beyond it leaves nothing of lines a tenth of the spacing apart but a shade."""

MAX_SHADE = 0.12
"""Of the lines' height."""

GHOST = 0.75
"""Every second line lower than so much of the others: a double image, or lines of two scales."""

SMOOTH = 0.04
SOFT = 0.35
"""Overtones of a pattern to its base tone: lines have edges and thus overtones, a wave has none."""

ALIGNED_DEG = 0.3
FULL = 0.75
"""Share of the bands; a scale whose ends are seen fills less."""

FAINT = 0.15
PHASES = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A scale with all that was seen beside it in the image, which was turned by `angle_deg`."""

    lattice: Lattice
    rows: list[Row]
    bands: list[Band]
    sign: int
    angle_deg: float


def doubt(seen: Seen) -> str | None:
    """Why the scale is not to be trusted, or None."""
    lattice = seen.lattice
    if lattice.spacing_px < MIN_SPACING_PX:
        return (
            f"the lines are {lattice.spacing_px:.1f} px apart and the camera cannot separate lines closer than "
            f"{MIN_SPACING_PX:.0f} px; use a higher magnification or a coarser scale."
        )
    for check in (_wave, _finer, _second_scale, _ghost, _washed_out, _shaded):
        if sentence := check(seen):
            return sentence
    return None


def _wave(seen: Seen) -> str | None:
    """Flickering light through a rolling shutter: soft bands along the rows of the camera, over the whole field."""
    own = seen.lattice
    own_y = {row.y for row in own.rows}
    kind = own.rows[0].kind
    full = len(own_y) >= FULL * sum(band.kind == kind for band in seen.bands)
    tones = np.abs(np.fft.rfft(_folded(seen, [band for band in seen.bands if band.kind == kind and band.y in own_y])[0]))
    overtones = float(np.sqrt((tones[2:12] ** 2).sum()) / max(tones[1], 1e-12))
    turned = abs(seen.angle_deg + np.degrees(np.arctan(-own.lean)))
    along_rows = abs(turned - 90) < ALIGNED_DEG
    aligned = along_rows or turned < ALIGNED_DEG or turned > 180 - ALIGNED_DEG
    soft = overtones < SMOOTH or (full and overtones < SOFT)
    faint = full and aligned and (along_rows or own.height < FAINT)
    if soft or faint:
        return (
            "the image shows soft or faint stripes without ends, as flickering light makes on an empty field; "
            "focus on the scale, let the ends of its lines be seen, turn it by a few degrees, and use a steady lamp."
        )
    return None


def _finer(seen: Seen) -> str | None:
    own = seen.lattice
    strong = max([own.height, *(row.height for row in seen.rows)])
    for row in seen.rows:
        if row.spacing_px < FINER * own.spacing_px and row.height >= MIN_FINER_HEIGHT * strong and len(row.lines.centre) > 5:
            return _finer_sentence(row.spacing_px, own.spacing_px)
    return None


def _finer_sentence(finer: float, spacing: float) -> str:
    return (
        f"beside lines {spacing:.1f} px apart there are finer ones, about {finer:.1f} px apart, that are too short or too "
        "faint to be measured; focus on the scale and move its shortest lines into the middle of the field."
    )


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
        folded, error = _folded(seen, [band])
        if not len(folded):
            continue
        error = max(error, band.noise / np.sqrt(len(band.profile) / PHASES))
        for parts in FRACTIONS:
            places = [round(PHASES * k / parts) for k in range(1, parts)]
            half = max(1, round(PHASES / parts / 2))
            stands = np.array([folded[at] - (folded[(at - half) % PHASES] + folded[(at + half) % PHASES]) / 2 for at in places])
            sure = stands.min() > max(limit, HIDDEN_SIGMAS * error / np.sqrt(len(places)))
            if sure and stands.min() > 0.5 * np.median(stands) and own.spacing_px / parts > 2:
                return _finer_sentence(own.spacing_px / parts, own.spacing_px)
    return None


def _shaded(seen: Seen) -> str | None:
    """Out of focus, ticks at a fraction of the spacing are nothing but a shade between the lines."""
    own = seen.lattice
    top, bottom = min(line.top for line in own.lines), max(line.bottom for line in own.lines)
    own_y = {row.y for row in own.rows}
    profile = _folded(seen, [band for band in seen.bands if band.kind == own.rows[0].kind and band.y in own_y])[0]
    sigma = _blur(profile)
    # Lines that are longer at every fifth or tenth say which are the shortest.
    longer = any(abs(row.spacing_px / own.spacing_px / step - 1) < 0.02 for row in seen.rows for step in (5, 10))
    if sigma < MAX_SIGMA or longer:
        return None
    low = [band for band in seen.bands if band.kind == 0]
    margin = 3 * float(np.median(np.diff([band.y for band in low]))) if len(low) > 1 else 0.0
    low = [band for band in low if top - margin <= band.y <= bottom + margin]
    folds = [folded for folded, _ in (_folded(seen, [band]) for band in low) if len(folded)]
    between = [float(np.median(folded[int(0.4 * PHASES) : int(0.6 * PHASES)])) for folded in folds]
    if between and max(between) - float(np.percentile(between, 10)) > MAX_SHADE * float(np.ptp(profile)):
        return (
            "the image is out of focus, and a shade between the lines may be finer ticks that cannot be told apart; "
            "focus on the scale until its shortest lines are seen."
        )
    return None


def _blur(profile: Profile1D) -> float:
    """Standard deviation of the blur, of the spacing: from the steepest flank of a folded profile."""
    smooth = np.convolve(np.tile(profile, 3), np.ones(3) / 3, "same")[PHASES : 2 * PHASES]
    rise = float(np.ptp(smooth)) / max(float(np.abs(np.gradient(smooth)).max()), 1e-12)
    width = float((smooth > smooth.min() + np.ptp(smooth) / 2).sum())
    # A wide line has edges like a step, rise = sqrt(2 pi) sigma; a narrow one is a Gaussian, rise = sqrt(e) sigma.
    as_step, as_peak = rise / np.sqrt(2 * np.pi), rise / np.sqrt(np.e)
    return float(as_step if width > 4 * as_step else as_peak) / PHASES


def _folded(seen: Seen, bands: list[Band]) -> tuple[Profile1D, float]:
    """Median profile of `bands` over one spacing, a line at 0, and the error of a value; empty when too little is seen."""
    own = seen.lattice
    inner = own.lines[0].x
    phases = []
    values = []
    for band in bands:
        x = band.first + np.arange(len(band.profile)) - own.lean * band.y
        within = (x >= own.lines[0].x - own.spacing_px / 2) & (x <= own.lines[-1].x + own.spacing_px / 2)
        phases.append((((x - inner) / own.spacing_px) % 1)[within])
        values.append(seen.sign * band.profile[within])
    phase, value = np.concatenate(phases), np.concatenate(values)
    if len(value) < 3 * own.spacing_px:
        return np.zeros(0), 0.0
    at = np.round(phase * PHASES).astype(int) % PHASES
    order = np.argsort(at, kind="stable")
    edges = np.searchsorted(at[order], np.arange(PHASES + 1))
    filled: Profile1D = np.full(PHASES, np.nan)
    spread = []
    for phase_at, (start, end) in enumerate(pairwise(edges)):
        if end > start:
            here = value[order[start:end]]
            filled[phase_at] = np.median(here)
            spread.append(1.25 * np.median(np.abs(here - filled[phase_at])) * 1.4826 / np.sqrt(len(here)))
    known = np.flatnonzero(~np.isnan(filled))
    folded = np.interp(np.arange(PHASES), known, filled[known], period=PHASES)
    return folded, float(np.median(spread))
