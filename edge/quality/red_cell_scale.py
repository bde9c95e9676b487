"""What the single red cells of a slide say about a stated um/px: by how much it contradicts them, and what it would be.

Red cells are 6.7 to 7.7 um across on a smear, whoever took it. Their diameter in pixels needs no calibration, so the two
together give a um/px that no typing slip, binning or wrong objective can have touched.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RED_CELL_UM = (6.7, 7.7)
USUAL_UM = 7.1
"""By this measure, in the middle of ten sources of seven laboratories at hand; each lies within 6 % of it."""

CONTRADICTS = 0.125
"""A um/px further off than that is wrong beyond what patients and stains differ by."""

ENOUGH_CELLS = 40
"""Their median is known to some 4 %."""

FEW_CELLS, FAR_OFF = 20, 1.5
"""Cells that suffice for a um/px that is so many times too large or too small: half, double, another decimal point."""

ENOUGH_AREA = 0.004
"""Of all fields looked at that single red cells must cover: a few round specks on an empty slide are none."""

NEAR = 0.25
"""Of the most common diameter: smaller and larger things are platelets, leukocytes and dirt."""

MOST_SPREAD = 0.16
"""Standard deviation of their diameters to their median: what differs more is not of one kind."""

MAIN_SHARE = 0.5
"""Of the area of all single round things that must be near the most common diameter."""


@dataclass(frozen=True, slots=True)
class RedCells:
    """Single red cells of some fields: their median diameter, and half the width of its 95 % limits."""

    cells: int
    fields: int
    diameter_px: float
    limit_px: float

    def factor(self, um_per_px: float) -> float:
        """How many times too large `um_per_px` is when red cells are `USUAL_UM` across."""
        return um_per_px * self.diameter_px / USUAL_UM

    @property
    def um_per_px(self) -> float:
        """What it would be."""
        return USUAL_UM / self.diameter_px

    @property
    def limits_um_per_px(self) -> tuple[float, float]:
        """The least and most that it can be: red cells of 6.7 and 7.7 um, and the 95 % limits of their median."""
        return RED_CELL_UM[0] / (self.diameter_px + self.limit_px), RED_CELL_UM[1] / (self.diameter_px - self.limit_px)

    def contradicts(self, um_per_px: float) -> bool:
        """Whether `um_per_px` cannot be right."""
        least = 1 + CONTRADICTS if self.cells >= ENOUGH_CELLS else FAR_OFF
        return abs(math.log(self.factor(um_per_px))) > math.log(least)

    def sentence(self, um_per_px: float) -> str:
        """What speaks against `um_per_px`."""
        least, most = self.limits_um_per_px
        factor = self.factor(um_per_px)
        off = f"{100 * (factor - 1):.0f} % too large" if factor > 1 else f"{100 * (1 - factor):.0f} % too small"
        return (
            f"at {um_per_px:.4g} um/px the {self.cells} single red cells of {_fields(self.fields)} measure "
            f"{um_per_px * self.diameter_px:.1f} um, and red cells are {RED_CELL_UM[0]:g} to {RED_CELL_UM[1]:g} um: the um/px "
            f"is about {off} and would be {self.um_per_px:.3g} ({least:.3g} to {most:.3g}); "
            "measure it with `leuko-calib pixel-size`."
        )


@dataclass(slots=True)
class RedCellSizes:
    """Diameters from field after field."""

    fields: int = 0
    cells: int = 0
    area_px: float = 0.0
    _diameters_px: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, diameters_px: NDArray[np.float64], area_px: float) -> None:
        """Those of one field of `area_px` pixels."""
        self.fields += 1
        self.cells += len(diameters_px)
        self.area_px += area_px
        self._diameters_px.append(diameters_px)

    def found(self, least: int = ENOUGH_CELLS) -> RedCells | str:
        """The red cells among them, at least so many, or one sentence why they cannot be told."""
        every = np.concatenate(self._diameters_px) if self._diameters_px else np.zeros(0)
        cells = _most_common(every)
        if len(cells) < least:
            return (
                f"only {len(cells)} single red cells were found in {_fields(self.fields)} and {least} are needed; give "
                "more fields, in focus, where red cells lie side by side without touching."
            )
        median = float(np.median(cells))
        spread = float(np.std(cells)) / median
        covered = float((cells**2).sum()) * math.pi / 4 / max(self.area_px, 1.0)
        share = float((cells**2).sum() / (every**2).sum())
        if spread > MOST_SPREAD or covered < ENOUGH_AREA or share < MAIN_SHARE:
            return (
                f"what is round in {_fields(self.fields)} does not look like red cells (sizes differ by {100 * spread:.0f} %, "
                f"they cover {100 * covered:.1f} % of the fields); give fields of a stained smear, in focus."
            )
        error = 1.253 * float(np.std(cells)) / math.sqrt(len(cells))
        return RedCells(len(cells), self.fields, median, 1.96 * error)


def _most_common(diameters_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those near the diameter about which most of the area lies."""
    if not len(diameters_px):
        return diameters_px
    sizes: NDArray[np.float64] = np.log(diameters_px)
    tried = np.linspace(sizes.min(), sizes.max(), 200)
    near = np.abs(tried[:, None] - sizes[None, :]) < 0.6 * NEAR
    middle = float(np.exp(tried[int(np.argmax(near @ diameters_px**2))]))
    kept = diameters_px
    for _ in range(3):
        kept = np.asarray(diameters_px[np.abs(sizes - math.log(middle)) < NEAR], np.float64)
        middle = float(np.median(kept)) if len(kept) else middle
    return kept


def _fields(n: int) -> str:
    return "1 field" if n == 1 else f"{n} fields"
