"""Which convolutions go back to floating point: as many as the count asks for, the worst ones first."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest

from builder.quantised_graph import QuantisedGraph
from builder.quantised_search import keep_the_count, most_runs
from edge.contracts.detections import Cells

_FIELDS = 20


@dataclass(frozen=True)
class Rounded:
    """A graph as the search sees it."""

    int8_convolutions: tuple[str, ...]

    def with_float(self, names: Collection[str]) -> "Rounded":
        return replace(self, int8_convolutions=tuple(each for each in self.int8_convolutions if each not in names))


def _field(score: float) -> Cells:
    """Two cells, and with a low score one."""
    n = 2 if score > 0.5 else 1
    ones, boxes = np.ones(n, np.float32), np.array([[0, 0, 50, 50], [100, 100, 150, 150]], np.float32)[:n]
    no_class = np.zeros(n, np.int32)
    return Cells(boxes, ones, ones * np.float32(score), no_class, no_class - 1, ones, np.ones(n, np.bool_))


@pytest.mark.parametrize(
    ("spoils", "back", "why"),
    [
        ({"a": 0.001, "b": 0.001}, (), "within the limits nothing goes back"),
        ({"a": 0.001, "b": 0.1, "c": 0.002}, ("b",), "the one that spoils it goes back, and no other"),
        ({"a": 0.004, "b": 0.03, "c": 0.05}, ("c", "b"), "the worst first, as many as it takes"),
        ({"a": 0.012, "b": 0.013}, ("b",), "together over the limit, alone under it"),
        ({"a": 0.45, "b": 0.001}, ("a",), "a cell that is missed weighs more than any score"),
    ],
)
def test_as_many_go_back_as_the_count_asks_for(spoils: dict[str, float], back: tuple[str, ...], why: str) -> None:
    runs = 0

    def cells_of(graph: QuantisedGraph) -> list[Cells]:
        return [_field(0.9 - sum(spoils[name] for name in graph.int8_convolutions))] * _FIELDS

    def ran(n: int) -> None:
        nonlocal runs
        runs += n

    made = cast("QuantisedGraph", Rounded(tuple(spoils)))
    found = keep_the_count(made, [_field(0.9)] * _FIELDS, cells_of, ran)
    assert tuple(each.name for each in found.taken_back) == back, why
    assert set(found.graph.int8_convolutions) == set(spoils) - set(back) and not found.failures
    assert 1 <= runs <= most_runs(made)
    assert not found.shares or sum(each.share for each in found.shares) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a",)])
def test_where_it_does_not_help_nothing_goes_back_and_it_is_said(names: tuple[str, ...]) -> None:
    made = cast("QuantisedGraph", Rounded(names))
    found = keep_the_count(made, [_field(0.9)] * _FIELDS, lambda graph: [_field(0.7)] * _FIELDS)
    assert found.graph is made and not found.taken_back and found.failures
