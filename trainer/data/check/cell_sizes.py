"""Whether cells have the size their class has: a wrong um/px shows as a whole source off, a wrong box as one cell off."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge.contracts.cells import CELLS
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation

MIN_CELLS = 8
"""Fewer have no median to go by."""

SOURCE_FACTOR = 1.25
"""Staining, smearing and the annotators' habits move a laboratory's sizes by less; another objective moves them by more."""

LEUKOCYTE_UM = (8.0, 20.0)
"""Between these is the median diameter of a source's leukocytes, whatever its types: haematology's textbooks give 7-10 um for
the small lymphocyte, the smallest, and 12-20 um for the monocyte, the largest. Boxes are drawn around the whole cell, and no
class has a median under 10 or over 17 um in the data sets of the shipped model."""

CELL_FACTOR = 2.0
"""No cell's diameter is half or twice that of its class."""

LEUKOCYTES = {UNTYPED_WBC, UNTYPED_NEUTROPHIL, *(label for label, cell in enumerate(CELLS) if cell.is_wbc)}

BORDER_PX = 2.0
"""A box this near to its image's border is a cut cell's."""


class CellSize(NamedTuple):
    """Cell number `cell` of annotation number `row`; `side_um` is the root of its box's area."""

    row: int
    cell: int
    label: int
    source: str
    side_um: float


def cell_sizes(annotations: Sequence[Annotation]) -> list[CellSize]:
    """Of all cells that lie wholly in their images."""
    found: list[CellSize] = []
    for number, row in enumerate(annotations):
        boxes = row.boxes_px
        inside = (boxes[:, :2] > BORDER_PX).all(axis=1)
        inside &= (boxes[:, 2:] < np.array([row.width_px, row.height_px]) - BORDER_PX).all(axis=1)
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)) * row.um_per_px
        for cell in np.flatnonzero(inside & (row.labels != IGNORE)).tolist():
            found.append(CellSize(number, cell, int(row.labels[cell]), row.source, float(sides[cell])))
    return found


def sources_off(sizes: Sequence[CellSize]) -> Iterator[tuple[str, float]]:
    """Source and factor: how much larger its cells are than those of the same classes from other sources (median)."""
    by_class: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for size in sizes:
        by_class[size.label][size.source].append(size.side_um)
    factors: dict[str, list[float]] = defaultdict(list)
    for by_source in by_class.values():
        medians = {source: float(np.median(sides)) for source, sides in by_source.items() if len(sides) >= MIN_CELLS}
        for source, median in medians.items():
            # Of three or more, the median is not the one that is off; of two, nobody knows which one is, and both are told.
            others = [value for name, value in medians.items() if name != source or len(medians) > 2]
            if others:
                factors[source].append(median / float(np.median(others)))
    for source, values in sorted(factors.items()):
        factor = float(np.median(values))
        if not 1 / SOURCE_FACTOR <= factor <= SOURCE_FACTOR:
            yield source, factor


def sources_unlikely(sizes: Sequence[CellSize]) -> Iterator[tuple[str, float]]:
    """Source and median diameter in um of its leukocytes, where it lies outside `LEUKOCYTE_UM`: this needs no other source."""
    by_source: dict[str, list[float]] = defaultdict(list)
    for size in sizes:
        if size.label in LEUKOCYTES:
            by_source[size.source].append(size.side_um)
    for source, sides in sorted(by_source.items()):
        median = float(np.median(sides))
        if len(sides) >= MIN_CELLS and not LEUKOCYTE_UM[0] <= median <= LEUKOCYTE_UM[1]:
            yield source, median


def cells_off(sizes: Sequence[CellSize]) -> Iterator[tuple[CellSize, float]]:
    """Cells of less than half or over twice the median of their class in their own source, which they are given with, in um."""
    groups: dict[tuple[int, str], list[CellSize]] = defaultdict(list)
    for size in sizes:
        groups[size.label, size.source].append(size)
    for members in groups.values():
        median = float(np.median([size.side_um for size in members]))
        if len(members) >= MIN_CELLS:
            for size in members:
                if not median / CELL_FACTOR <= size.side_um <= median * CELL_FACTOR:
                    yield size, median
