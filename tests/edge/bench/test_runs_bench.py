"""`leuko-edge bench-runs`: what it says of each run, and its verdict."""

import json

import pytest
from support.edge_here import leuko_edge

from edge.bench.runs_bench import GOAL_MS, NextRun, runs_table

pytestmark = pytest.mark.timeout(120)


def test_runs_follow_each_other_and_each_has_its_times() -> None:
    said = leuko_edge("bench-runs", "--runs", "2", "--json")
    assert said.code == 0, said.err
    first, second = json.loads(said.out)
    for row in (first, second):
        assert 0 < row["edge_ms"] < row["first_field_ms"]
        assert row["edge_ms"] == pytest.approx(row["first_field_ms"] - row["camera_ms"])
    assert (first["run"], second["run"]) == (1, 2)


@pytest.mark.parametrize(
    ("later_ms", "verdict"),
    [pytest.param(GOAL_MS - 1, ": within 50 ms", id="soon"), pytest.param(GOAL_MS + 1, "NOT within 50 ms", id="late")],
)
def test_the_first_run_may_take_longer_and_the_slowest_of_the_others_decides(later_ms: float, verdict: str) -> None:
    found = [NextRun(1, 1, 500, 10, 20), NextRun(2, 1, 20, 10, 5), NextRun(3, 1, later_ms + 10, 10, 5)]
    assert verdict in runs_table(found).splitlines()[-1]
