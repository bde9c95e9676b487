"""Which cells of one field two models have in common, by how far their boxes overlap, whatever they are called."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.contracts.detections import Float32
from edge.contracts.records import Detection
from edge.postprocess import ious

SAME_CELL_IOU = 0.5
"""From this overlap on suppression calls two boxes one cell."""


@dataclass(slots=True)
class Matched:
    """Pairs of indices (of the first, of the second), each pair's IoU, and the indices that have no counterpart."""

    pairs: list[tuple[int, int]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    only_first: list[int] = field(default_factory=list)
    only_second: list[int] = field(default_factory=list)


def match_cells(first: Sequence[Detection], second: Sequence[Detection], at_least: float = SAME_CELL_IOU) -> Matched:
    """Pair the cells of one field, the best overlap first, each cell at most once; ties by their order in the record."""
    found = Matched()
    overlap = ious(_boxes(first), _boxes(second))
    rows, columns = np.nonzero(overlap >= at_least)
    best_first = np.lexsort((columns, rows, -overlap[rows, columns]))
    free_first, free_second = set(range(len(first))), set(range(len(second)))
    for a, b in zip(rows[best_first].tolist(), columns[best_first].tolist(), strict=True):
        if a in free_first and b in free_second:
            free_first.remove(a)
            free_second.remove(b)
            found.pairs.append((a, b))
            found.ious.append(float(overlap[a, b]))
    found.only_first, found.only_second = sorted(free_first), sorted(free_second)
    return found


def _boxes(cells: Sequence[Detection]) -> Float32:
    return np.array([cell.box_px for cell in cells], np.float32).reshape(-1, 4)
