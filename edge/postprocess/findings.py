"""The label a cell is counted under, and the cells of one field as the wire's detections."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.detections import Cells, Float32
from edge.contracts.profile import Knot
from edge.contracts.records import Detection

BORDER_PX = 1.0
"""A box that ends within this of the frame's edge may be a cell cut by the field."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a processed field holds; no detection is a finding, too."""

    detections: tuple[Detection, ...]
    counts: dict[str, int]
    overflow: bool

    @classmethod
    def of(cls, cells: Cells, um_per_px: float, width_px: int, height_px: int, probability: Sequence[Knot] = ()) -> "Findings":
        """The cells of a field of that size, as records carry them."""
        detections = to_detections(cells, um_per_px, width_px, height_px, probability)
        return cls(detections, field_counts(cells), cells.overflow)


def label_of(cells: Cells, index: int) -> str:
    """Class name of cell `index`, or which kind of unidentified it is, after its most likely class."""
    cell = CELLS[int(cells.classes[index])]
    if cells.identified[index]:
        return cell.name
    return UNIDENTIFIED if cell.is_wbc else UNIDENTIFIED_NON_WBC


def field_counts(cells: Cells) -> dict[str, int]:
    """Cells per label in one field; labels without a cell are left out."""
    return dict(Counter(label_of(cells, index) for index in range(len(cells))))


def to_detections(
    cells: Cells, um_per_px: float, width_px: int, height_px: int, probability: Sequence[Knot] = ()
) -> tuple[Detection, ...]:
    """One `Detection` per cell, in the order of `cells`; size in um from the frame's own `um_per_px`.

    `probability` has what a profile knows of scores: rising scores with their probabilities, straight lines between.
    """
    detections = []
    probabilities = [None] * len(cells) if not probability else _between(probability, cells.scores)
    for index, box in enumerate(cells.boxes_px.tolist()):
        x1, y1, x2, y2 = box
        cell, other = CELLS[int(cells.classes[index])], int(cells.runner_up[index])
        detections.append(
            Detection(
                label=label_of(cells, index),
                best_class=cell.name,
                is_wbc=cell.is_wbc,
                score=min(1.0, float(cells.scores[index])),
                presence=float(cells.presence[index]),
                margin=float(cells.margins[index]),
                runner_up=CELLS[other].name if other >= 0 else None,
                box_px=(x1, y1, x2, y2),
                size_um=((x2 - x1) * um_per_px, (y2 - y1) * um_per_px),
                probability=probabilities[index],
                touches_border=min(x1, y1, width_px - x2, height_px - y2) <= BORDER_PX,
            )
        )
    return tuple(detections)


def _between(knots: Sequence[Knot], scores: Float32) -> list[float]:
    at, values = np.asarray(knots, np.float64).T
    return [float(value) for value in np.interp(scores, at, values)]
