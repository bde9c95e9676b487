"""Flickering light through a rolling shutter: bands along the camera's rows, over the whole field, that are no lines."""

import numpy as np

from calib.folding import Seen, folded

SMOOTH = 0.04
SOFT = 0.35
"""Overtones of a pattern to its base tone: lines have edges and thus overtones, a wave has none."""

ALIGNED_DEG = 0.08
"""Flicker follows rows and columns of the camera exactly; a scale that was laid by hand hardly ever does."""

FULL = 0.75
"""Share of the bands; a scale whose ends are seen fills less."""

DEEP_ALONG_ROWS = 0.6
DEEP = 0.25
"""Of the glass: no lamp flickers as deep in an exposure that is long enough for an image; printed lines do."""

THIN, THIN_AND_DEEP = 0.33, 0.35
"""Of the spacing, of the glass: thin lines need be less deep, for a dimmed lamp is on and off for like times."""


def flicker(seen: Seen) -> str | None:
    """Why a pattern may be the lamp's, or None. Cameras may be mounted on their side, so columns are suspected, too."""
    own = seen.lattice
    bands = seen.own_bands
    full = len(bands) >= FULL * sum(band.kind == own.rows[0].kind for band in seen.bands)
    profile = folded(seen, bands)[0]
    tones = np.abs(np.fft.rfft(profile))
    overtones = float(np.sqrt((tones[2:12] ** 2).sum()) / max(tones[1], 1e-12))
    depth = float(np.ptp(profile)) / (1 + max(float((seen.sign * profile).max()), 0.0))
    turned = abs(seen.angle_deg + np.degrees(np.arctan(-own.lean)))
    along_rows = abs(turned - 90) < ALIGNED_DEG
    aligned = along_rows or turned < ALIGNED_DEG or turned > 180 - ALIGNED_DEG
    is_soft = overtones < SOFT and (depth < DEEP or along_rows)
    duty = float((profile > profile.min() + np.ptp(profile) / 2).mean())
    enough = (THIN_AND_DEEP if duty < THIN else DEEP_ALONG_ROWS) if along_rows else DEEP
    is_faint = aligned and depth < enough
    if overtones < SMOOTH or (full and (is_soft or is_faint)):
        return (
            "the image shows soft or faint stripes without ends, as flickering light makes on an empty field; "
            "focus on the scale, let the ends of its lines be seen, turn it by a few degrees, and use a steady lamp."
        )
    return None
