"""All spacings of a scale laid over each other: what repeats stands out of noise and dirt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.lattice import Lattice, Row
from calib.lines import Profile1D
from calib.turned import Band

PHASES = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A scale with all that was seen beside it in the image, which was turned by `angle_deg`."""

    lattice: Lattice
    rows: list[Row]
    bands: list[Band]
    sign: int
    angle_deg: float

    @property
    def own_bands(self) -> list[Band]:
        """The bands that show the scale."""
        own_y, kind = {row.y for row in self.lattice.rows}, self.lattice.rows[0].kind
        return [band for band in self.bands if band.kind == kind and band.y in own_y]


def folded(seen: Seen, bands: list[Band]) -> tuple[Profile1D, float]:
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
    middle = _medians(at, value)
    off = 1.4826 * _medians(at, np.abs(value - middle[at]))
    known = np.flatnonzero(~np.isnan(middle))
    counts = np.bincount(at, minlength=PHASES)[known]
    profile = np.interp(np.arange(PHASES), known, middle[known], period=PHASES)
    return profile, float(np.median(1.25 * off[known] / np.sqrt(counts)))


def _medians(at: NDArray[np.int_], value: Profile1D) -> Profile1D:
    """Median of the values of each of `PHASES` places; NaN where there is none."""
    ordered = value[np.lexsort((value, at))]
    edges = np.concatenate(([0], np.cumsum(np.bincount(at, minlength=PHASES))))
    start, n = edges[:-1], np.diff(edges)
    low, high = (np.clip(start + np.maximum(n - 1 + odd, 0) // 2, 0, len(ordered) - 1) for odd in (0, 1))
    return np.where(n > 0, (ordered[low] + ordered[high]) / 2, np.nan)
