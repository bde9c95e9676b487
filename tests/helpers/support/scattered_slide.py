"""Cells scattered over a stage and fields that overlap: what a perfect detector finds in each, with the truth beside it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.counting.cell_registry import View
from edge.counting.same_cell import Box, Seen
from edge.counting.slide_count import SlideCount

FIELD_UM = (95.16, 74.62)
"""732 x 574 px at 0.13 um/px."""
MIN_VISIBLE = 0.15
"""Of a cell's box: what shows less is not found by any detector."""
LABELS = ("neutrophil_segmented", "lymphocyte", "monocyte", "eosinophil", "smudge")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a slide is scanned: `overlap` as a share of a field's side, `stage_error_um` the largest error of a position."""

    seed: int
    overlap: float = 0.1
    stage_error_um: float = 1.0
    columns: int = 8
    rows: int = 8
    cells_per_field: float = 3.0
    lost: float = 0.05
    order: str = "snake"
    revisits: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """What the scanner says of a field and what was found in it; `found` is None when it was lost."""

    index: int
    area_um: Box
    found: tuple[View, ...] | None
    cells: frozenset[int]
    """Which cells of the slide show in it."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Fields by index, and the labels of the slide's cells."""

    fields: tuple[Field, ...]
    labels: tuple[str, ...]

    @property
    def raw(self) -> int:
        return sum(len(field.found) for field in self.fields if field.found is not None)

    @property
    def truth(self) -> dict[str, int]:
        """Cells that show in at least one field that was not lost."""
        seen = {cell for field in self.fields if field.found is not None for cell in field.cells}
        return dict(Counter(self.labels[cell] for cell in seen))


def scanned(layout: Layout) -> Scan:
    rng = np.random.default_rng(layout.seed)
    step = np.array(FIELD_UM) * (1 - layout.overlap)
    centres, radii = _cells(layout, step, rng)
    labels = tuple(LABELS[at] for at in rng.integers(0, len(LABELS), len(centres)))
    fields = []
    for index, (column, row) in enumerate(_positions(layout, rng)):
        said = np.array([column, row]) * step
        real = said + rng.uniform(-layout.stage_error_um, layout.stage_error_um, 2)
        shown = list(_shown(centres, radii, real))
        views = tuple(
            View(index, number, Seen(_moved(box, said - real), cut), labels[cell], 0.8 if any(cut) else 0.9)
            for number, (cell, box, cut) in enumerate(shown)
        )
        half = np.array(FIELD_UM) / 2
        area = (*(said - half).tolist(), *(said + half).tolist())
        is_lost = rng.random() < layout.lost
        fields.append(Field(index, area, None if is_lost else views, frozenset(cell for cell, _, _ in shown)))
    return Scan(tuple(fields), labels)


def counted(scan: Scan, tolerance_um: float, ends: list[int] | None = None, credit: int | None = None) -> SlideCount:
    """Announce and end every field; `ends` gives the order of the ends, `credit` how many are announced ahead (None: all).

    Views are made anew, so that a scan can be counted again.
    """
    count = SlideCount(tolerance_um)
    order = ends if ends is not None else list(range(len(scan.fields)))
    announced = 0
    for done, index in enumerate(order):
        upto = len(scan.fields) if credit is None else max(index + 1, min(len(scan.fields), done + credit))
        for field in scan.fields[announced:upto]:
            count.announce(field.index, field.area_um)
        announced = max(announced, upto)
        count.end(index, anew(scan.fields[index]))
    return count


def anew(field: Field) -> list[View]:
    """The field's views without what a count has linked them to."""
    return [View(one.field_index, one.number, one.seen, one.label, one.presence) for one in field.found or ()]


def _cells(
    layout: Layout, step: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size = step * (layout.columns, layout.rows) + FIELD_UM
    wanted = rng.poisson(layout.cells_per_field * size.prod() / np.prod(FIELD_UM))
    centres, radii = np.zeros((0, 2)), np.zeros(0)
    while len(centres) < wanted:
        centre, radius = rng.uniform(-np.array(FIELD_UM) / 2, size - np.array(FIELD_UM) / 2), rng.uniform(4.5, 8.0)
        # Cells of a smear touch, they do not lie over each other.
        if (np.hypot(*(centres - centre).T) > 0.95 * (radii + radius)).all():
            centres, radii = np.vstack((centres, centre)), np.append(radii, radius)
    return centres, radii


def _positions(layout: Layout, rng: np.random.Generator) -> list[tuple[int, int]]:
    rows = [[(column, row) for column in range(layout.columns)] for row in range(layout.rows)]
    snake = [place for row, line in enumerate(rows) for place in (line if row % 2 == 0 else line[::-1])]
    if layout.order == "random":
        snake = [snake[at] for at in rng.permutation(len(snake))]
    return snake + [snake[at] for at in rng.integers(0, len(snake), layout.revisits)]


def _shown(
    centres: NDArray[np.float64], radii: NDArray[np.float64], middle: NDArray[np.float64]
) -> Iterator[tuple[int, Box, tuple[bool, bool, bool, bool]]]:
    """Cells of a field with the box around what it shows of each: a disc cut by the field's borders."""
    low, high = middle - np.array(FIELD_UM) / 2, middle + np.array(FIELD_UM) / 2
    near = ((centres + radii[:, None] > low) & (centres - radii[:, None] < high)).all(axis=1)
    for cell in np.flatnonzero(near).tolist():
        centre, radius = centres[cell], radii[cell]
        box_low, box_high = centre - radius, centre + radius
        cut = (*(box_low < low).tolist(), *(box_high > high).tolist())
        seen_low, seen_high = np.maximum(box_low, low), np.minimum(box_high, high)
        for axis in (0, 1):
            # Where the field ends before the cell's middle, it shows less of the other axis, too.
            gap = max(low[axis] - centre[axis], centre[axis] - high[axis], 0.0)
            half = np.sqrt(max(radius**2 - gap**2, 0.0))
            other = 1 - axis
            seen_low[other] = max(seen_low[other], centre[other] - half)
            seen_high[other] = min(seen_high[other], centre[other] + half)
        side = np.maximum(seen_high - seen_low, 0.0)
        if side.prod() >= MIN_VISIBLE * (2 * radius) ** 2:
            yield cell, (*seen_low.tolist(), *seen_high.tolist()), cut  # type: ignore[misc]


def _moved(box: Box, by: NDArray[np.float64]) -> Box:
    dx, dy = by.tolist()
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy
