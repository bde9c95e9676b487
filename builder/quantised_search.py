"""Which convolutions go back to floating point until an int8 graph counts as its parent does: the worst ones first.

Each convolution is rounded alone, and how far cells come out otherwise is its share of the error. Then they go back, largest
share first, until the gate's limits hold on some of the fields that set the scales. What these say is no verdict: that is given
once, for what came out, by fields that had no part in it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from builder.parity import LIMITS, compare, match
from builder.quantised_graph import QuantisedGraph
from edge.contracts.detections import Cells
from edge.postprocess import label_of

CellsOf = Callable[[QuantisedGraph], list[Cells]]
"""The cells that a graph finds on this machine in those fields."""

_FEW_DECIDE = {**LIMITS, "min_cells": 1.0}
"""Among these few fields are rarely as many cells as a verdict needs."""


@dataclass(frozen=True, slots=True)
class LayerShare:
    """A convolution, its share of the error of all, each rounded alone, and whether it went back to floating point."""

    name: str
    share: float
    taken_back: bool

    def __str__(self) -> str:
        return f"{self.name} {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class Found:
    """What came out, and how. `shares` are in the order in which convolutions go back, and empty where none had to.

    `failures` is why the limits do not hold even so: then the graph is the whole one, as it was.
    """

    graph: QuantisedGraph
    shares: tuple[LayerShare, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def taken_back(self) -> tuple[LayerShare, ...]:
        """Those that compute in floating point for the sake of the count."""
        return tuple(each for each in self.shares if each.taken_back)


def keep_the_count(
    made: QuantisedGraph, reference: Sequence[Cells], cells_of: CellsOf, advance: Callable[[int], object] = lambda _: None
) -> Found:
    """`made` with as few convolutions in floating point as the limits ask for. `reference` are the parent's cells.

    `advance` is told of each graph that was run; `most_runs` says how many that may be.
    """

    def cells(graph: QuantisedGraph) -> list[Cells]:
        found = cells_of(graph)
        advance(1)
        return found

    def failures(graph: QuantisedGraph) -> tuple[str, ...]:
        return compare(reference, cells(graph), "search", is_emulation=False, limits=_FEW_DECIDE).failures

    names = made.int8_convolutions
    against = failures(made)
    if not against or len(names) == 1:
        return Found(made, failures=against)
    errors = {name: _error(reference, cells(made.with_float(set(names) - {name}))) for name in names}
    order, total = sorted(names, key=lambda name: -errors[name]), sum(errors.values()) or 1.0
    for n_back in range(1, len(order)):
        graph = made.with_float(order[:n_back])
        if not failures(graph):
            return Found(graph, _shares(order, errors, total, n_back))
    return Found(made, _shares(order, errors, total, 0), against)


def most_runs(made: QuantisedGraph) -> int:
    """How many graphs `keep_the_count` runs at most: the whole one, each convolution alone, and one after the other back."""
    return 2 * len(made.int8_convolutions)


def _shares(order: Sequence[str], errors: Mapping[str, float], total: float, n_back: int) -> tuple[LayerShare, ...]:
    return tuple(LayerShare(name, errors[name] / total, at < n_back) for at, name in enumerate(order))


def _error(reference: Sequence[Cells], found: Sequence[Cells]) -> float:
    """How far cells come out otherwise: wholly where they are missed, added or under another label, else by their scores."""
    error = 0.0
    for ours, theirs in zip(reference, found, strict=True):
        rows, columns, _ = match(ours.boxes_px, theirs.boxes_px, LIMITS["match_iou"])
        error += len(ours) + len(theirs) - 2 * len(rows)
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
            same = label_of(ours, i) == label_of(theirs, j)
            error += float(np.abs(ours.scores[i] - theirs.scores[j])) if same else 1.0
    return error
