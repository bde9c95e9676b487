"""Flickering light through a rolling shutter: bands along the camera's rows, over the whole field, that are no lines."""

import numpy as np

from calib.folding import Seen, folded
from calib.lines import MIN_LINES

SMOOTH, ALMOST_SMOOTH = 0.04, 0.15
SOFT = 0.35
"""Overtones of a pattern to its base tone: lines have edges and thus overtones, a wave has none."""

ALIGNED_DEG, ROUGHLY_DEG = 0.08, 0.6
"""Flicker follows rows and columns of the camera exactly; a scale that was laid by hand hardly ever does. Faint stripes in
noise look a little turned."""

FULL = 0.75
"""Share of the field; a scale whose ends are seen fills less."""

DEEP_ALONG_ROWS = 0.6
DEEP = 0.25
"""Of the glass: no lamp flickers as deep in an exposure that is long enough for an image; printed lines do."""

PULSED, DEEP_PULSES = 0.45, 0.75
"""A lamp that is on and off for like times has few overtones, too, and may flicker deeper."""


def flicker(seen: Seen) -> str | None:
    """Why a pattern may be the lamp's, or None. Cameras may be mounted on their side, so columns are suspected, too."""
    own = seen.lattice
    bands = seen.own_bands
    # From first to last: dirt and cells may hide the pattern in some bands between.
    # At the edge of a round field a band is too short to show enough lines.
    like = [band for band in seen.bands if band.kind == bands[0].kind and len(band.profile) > (MIN_LINES + 1) * own.spacing_px]
    full = np.ptp([band.y for band in bands]) >= FULL * np.ptp([band.y for band in like or bands])
    profile = folded(seen, bands)[0]
    tones = np.abs(np.fft.rfft(profile))
    overtones = float(np.sqrt((tones[2:12] ** 2).sum()) / max(tones[1], 1e-12))
    depth = float(np.ptp(profile)) / (1 + max(float((seen.sign * profile).max()), 0.0))
    turned = abs(seen.angle_deg + np.degrees(np.arctan(-own.lean)))
    near_deg = ALIGNED_DEG if depth >= DEEP else ROUGHLY_DEG
    along_rows = abs(turned - 90) < near_deg
    aligned = along_rows or turned < near_deg or turned > 180 - near_deg
    is_soft = overtones < SOFT and (depth < DEEP or along_rows)
    is_pulsed = along_rows and overtones < PULSED and depth < DEEP_PULSES
    is_faint = is_pulsed or (aligned and depth < (DEEP_ALONG_ROWS if along_rows else DEEP))
    is_wave = overtones < SMOOTH or (aligned and overtones < ALMOST_SMOOTH and depth < DEEP)
    if is_wave or (full and (is_soft or is_faint)):
        return (
            "the image shows soft or faint stripes without ends, as flickering light makes on an empty field; "
            "focus on the scale, let the ends of its lines be seen, turn it by a few degrees, and use a steady lamp."
        )
    return None
