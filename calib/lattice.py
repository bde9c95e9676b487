"""One scale over a whole turned image: the rows of even lines that its bands show, put together."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calib.lines import MIN_LINES, Peaks, Profile1D, bright_lines, even_rows, spacing_of
from calib.turned import Band

ALIKE = 0.025
"""Rows whose spacings differ by less may be of one scale."""

MIN_BANDS = 2
"""One band alone may be even by chance."""

MIN_ROW_HEIGHT = 0.2
"""Of the tallest row of a group: what is lower does not belong to the same lines."""

MAX_LEAN = 0.06
"""dx/dy: how far the lines may lean in an image that was turned upright by estimate."""

NEAR = 0.12
"""Of the spacing: a point further from its line is not of it."""

MIN_COHERENT = 0.6
"""Share of the rows' points that must be near the lines of one scale."""

MIN_SUPPORT = 0.25
"""Of the median number of bands that show a line: what fewer bands show is no line of the scale."""


@dataclass(frozen=True, slots=True)
class Row:
    """Evenly spaced lines in one band; centres in pixels of the turned image."""

    y: float
    kind: int
    lines: Peaks
    spacing_px: float

    @property
    def height(self) -> float:
        """Median height of its lines."""
        return float(np.median(self.lines.height))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a scale: where it crosses y = 0 once it leans like all others, between which y it was seen, how strong."""

    number: int
    x: float
    top: float
    bottom: float
    height: float
    n_bands: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """x = offset + spacing * number + lean * y."""

    spacing_px: float
    lean: float
    lines: tuple[Line, ...]
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def height(self) -> float:
        return float(np.median([line.height for line in self.lines]))

    @property
    def normal_spacing(self) -> float:
        """Distance of neighbouring lines at right angles to them."""
        return self.spacing_px * float(np.cos(np.arctan(self.lean)))


def rows_of(bands: list[Band], sign: int, fewest: int = MIN_LINES) -> list[Row]:
    """Rows of all bands; `sign` is 1 for bright lines, -1 for dark ones."""
    found = []
    for band in bands:
        for row in even_rows(bright_lines(sign * band.profile, band.noise), fewest):
            found.append(Row(band.y, band.kind, Peaks(row.centre + band.first, row.height), spacing_of(row)))
    return found


def groups_of(rows: list[Row]) -> list[list[Row]]:
    """Rows of like spacing in one kind of band, finest first; each has `MIN_BANDS` bands, one row of each."""
    groups: list[list[Row]] = []
    for kind in sorted({row.kind for row in rows}):
        left = sorted((row for row in rows if row.kind == kind), key=lambda row: row.spacing_px)
        while left:
            # The spacing that most rows share begins a group, so that two scales never run into one another.
            spacings = np.array([row.spacing_px for row in left])
            shared = np.abs(spacings[:, None] / spacings[None, :] - 1) < ALIKE
            middle = int(np.argmax(shared.sum(axis=1)))
            chosen = {id(left[at]) for at in np.flatnonzero(shared[middle])}
            group = [row for row in left if id(row) in chosen]
            left = [row for row in left if id(row) not in chosen]
            by_band: dict[float, Row] = {}
            for row in group:
                if row.y not in by_band or len(row.lines.centre) > len(by_band[row.y].lines.centre):
                    by_band[row.y] = row
            # Beyond the ends of its lines a band shows nothing but noise, which is even now and then.
            tallest = max(row.height for row in by_band.values())
            real = [row for row in by_band.values() if row.height >= MIN_ROW_HEIGHT * tallest]
            if len(real) >= MIN_BANDS:
                groups.append(real)
    return sorted(groups, key=lambda group: float(np.median([row.spacing_px for row in group])))


def fitted(rows: list[Row]) -> Lattice | None:
    """One scale through all rows by its frequency, lean and phase; None when the rows are not of one."""
    first = float(np.median([row.spacing_px for row in rows]))
    spacing, lean = _coherent(rows, first)
    x = np.concatenate([row.lines.centre for row in rows])
    y = np.concatenate([np.full(len(row.lines.centre), row.y) for row in rows])
    height = np.concatenate([row.lines.height for row in rows])
    offset = spacing / (2 * np.pi) * float(np.angle(np.exp(2j * np.pi * (x - lean * y) / spacing).sum()))
    for _ in range(4):
        number = np.round((x - lean * y - offset) / spacing)
        near = np.abs(x - lean * y - offset - spacing * number) < NEAR * spacing
        if near.mean() < MIN_COHERENT or len(np.unique(number[near])) < 3:
            return None
        terms = np.stack((np.ones(int(near.sum())), number[near], y[near]), axis=1)
        try:
            offset, spacing, lean = np.linalg.solve(terms.T @ terms, terms.T @ x[near])
        except np.linalg.LinAlgError:
            return None
        if not abs(spacing / first - 1) <= 2 * ALIKE:
            return None
    lines = _lines(number[near].astype(int), (x - lean * y)[near], y[near], height[near])
    return Lattice(float(spacing), float(lean), lines, tuple(rows)) if len(lines) >= 3 else None


def _coherent(rows: list[Row], first: float) -> tuple[float, float]:
    """Spacing and lean at which the lines of all rows fall together best: the peak of their 2-D periodogram."""
    y = np.array([row.y for row in rows])
    span = max(float(np.ptp(np.concatenate([row.lines.centre for row in rows]))), first)
    high = max(float(np.ptp(y)), 1.0)
    best = (-1.0, first, 0.0)
    spacing, lean = first, 0.0
    # A step shifts the far end by a quarter of a spacing, so that no peak is stepped over.
    spacings, leans = ALIKE, MAX_LEAN
    for _ in range(3):
        n_spacings = int(np.clip(2 * spacings / (0.25 * first / span), 6, 200)) + 1
        n_leans = int(np.clip(2 * leans / (0.25 * first / high), 6, 200)) + 1
        lean_steps = lean + np.linspace(-leans, leans, n_leans)
        for tried in spacing * (1 + np.linspace(-spacings, spacings, n_spacings)):
            phasors = np.array([np.exp(2j * np.pi * row.lines.centre / tried).sum() for row in rows])
            sums = np.abs(np.exp(-2j * np.pi / tried * lean_steps[:, None] * y[None, :]) @ phasors)
            at = int(np.argmax(sums))
            if sums[at] > best[0]:
                best = (float(sums[at]), float(tried), float(lean_steps[at]))
        _, spacing, lean = best
        spacings, leans = 2 * spacings / n_spacings, 2 * leans / n_leans
    return spacing, lean


def _lines(number: NDArray[np.int_], x: Profile1D, y: Profile1D, height: Profile1D) -> tuple[Line, ...]:
    every, counts = np.unique(number, return_counts=True)
    enough = every[counts >= MIN_SUPPORT * np.median(counts)]
    found = []
    for line in enough:
        own = number == line
        place = float(np.median(x[own]))
        found.append(Line(int(line), place, float(y[own].min()), float(y[own].max()), float(height[own].max()), int(own.sum())))
    return tuple(found)
