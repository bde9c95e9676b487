"""When to stop: the decision follows from the record of fields alone, in every order of their ends, and never moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scattered_slide import Layout, Scan, anew, scanned

from edge.contracts.records import Detection
from edge.contracts.run_order import RunOrder
from edge.contracts.stage_geometry import StageGeometry
from edge.contracts.stop_state import StopReached
from edge.counting.counts import clopper_pearson, wbc_total
from edge.counting.slide_account import FieldEnd, Said, SlideAccount
from edge.counting.slide_count import SlideCount
from edge.counting.stop_rule import StopRule, adjusted

pytestmark = pytest.mark.timeout(60)
UM, SIZE = 0.13, (732, 574)
SMALL: Scan = scanned(Layout(seed=6, overlap=0.2, stage_error_um=1.0, columns=5, rows=4, cells_per_field=4, lost=0.1))


def _decided(order: RunOrder, ends: list[int], credit: int | None = None) -> StopReached | None:
    """Where the rule decides when the fields of `SMALL` end so. A field takes as long as its index says."""
    rule, count, announced = StopRule(order), SlideCount(3.0), 0
    for done, index in enumerate(ends):
        upto = len(SMALL.fields) if credit is None else max(index + 1, min(len(SMALL.fields), done + credit))
        for field in SMALL.fields[announced:upto]:
            count.announce(field.index, field.area_um)
        announced = max(announced, upto)
        for each in count.end(index, anew(SMALL.fields[index])).settled:
            rule.settled(each.field_index, each.labels, 2.0 * each.field_index)
    return rule.final


ORDERS = [
    pytest.param(RunOrder(target_leukocytes=1), "leukocytes", id="the first leukocyte"),
    pytest.param(RunOrder(target_leukocytes=20), "leukocytes", id="twenty"),
    pytest.param(RunOrder(target_leukocytes=20, smudges="lymphocytes"), "leukocytes", id="twenty, smudge cells among them"),
    pytest.param(RunOrder(limit_width_percent={"lymphocyte": 40.0}), "limit_width", id="as narrow as asked"),
    pytest.param(RunOrder(limit_width_percent={"lymphocyte": 40.0, "monocyte": 38.0}), "limit_width", id="two of them"),
    pytest.param(RunOrder(field_cap=7), "fields", id="seven fields"),
    pytest.param(RunOrder(time_cap_s=11.0), "time", id="a time"),
    pytest.param(RunOrder(target_leukocytes=10_000, field_cap=9), "fields", id="whatever comes first"),
    pytest.param(RunOrder(target_leukocytes=10_000), None, id="never"),
]


@pytest.mark.parametrize(("order", "reason"), ORDERS)
@settings(max_examples=10)
@given(ends=st.permutations(range(len(SMALL.fields))))
def test_the_decision_is_the_same_in_every_order_of_the_ends(order: RunOrder, reason: str | None, ends: list[int]) -> None:
    decided = _decided(order, ends)
    assert decided == _decided(order, list(range(len(SMALL.fields))))
    assert (decided.reason if decided is not None else None) == reason


def test_where_each_limit_holds() -> None:
    in_order = list(range(len(SMALL.fields)))
    leukocytes = _decided(RunOrder(target_leukocytes=20), in_order)
    assert leukocytes is not None and leukocytes.wbc == 20, "it stops at the very cell"
    fields, time = _decided(RunOrder(field_cap=7), in_order), _decided(RunOrder(time_cap_s=11.0), in_order)
    assert (fields and fields.field_index, time and time.field_index) == (6, 6)
    width = _decided(RunOrder(limit_width_percent={"lymphocyte": 40.0}), in_order)
    assert width is not None
    # However they are spread, that many suffice, and fewer may not.
    assert 100 * np.subtract(*clopper_pearson(0, width.wbc)[::-1]) <= 40


def test_smudge_cells_count_as_the_order_says() -> None:
    cells = {"lymphocyte": 5, "smudge": 3, "nrbc": 2}
    assert adjusted(cells, RunOrder(smudges="lymphocytes")) == {"lymphocyte": 8, "nrbc": 2}
    assert adjusted(cells, RunOrder()) == adjusted(cells, None) == cells
    rule = StopRule(RunOrder(target_leukocytes=2, smudges="lymphocytes"))
    assert rule.settled(0, ["smudge", "nrbc", "smudge"], 0.0) and rule.final is not None and rule.final.wbc == 2


def _cell(label: str = "lymphocyte", presence: float = 0.9) -> Detection:
    """In the middle of a field."""
    return Detection(
        label=label,
        best_class=label,
        is_wbc=bool(wbc_total({label: 1})),
        score=presence,
        presence=presence,
        margin=0.8,
        box_px=(321, 242, 411, 332),
        size_um=(11.7, 11.7),
    )


class _Run:
    """Fields of one cell each, side by side and 40 um apart, announced `ahead` of those that end."""

    def __init__(self, order: RunOrder, n_fields: int, ahead: int) -> None:
        self.account = SlideAccount(StageGeometry.upright(UM), *SIZE, order)
        self._n, self._ahead, self._announced = n_fields, ahead, 0

    def end(self, index: int, cell: Detection | None = None, replaces_index: int | None = None) -> list[Said]:
        until = min(self._n, index + self._ahead)
        self.account.announce((each, (each * 40_000, 0)) for each in range(self._announced, until))
        self._announced = max(self._announced, until)
        end = FieldEnd(index, (index * 40_000, 0), [cell or _cell()], SIZE, 1 + index * 10**9, replaces_index)
        self.account.ended(end)
        return self.account.said()


def test_stop_is_advised_provisionally_and_then_for_good() -> None:
    run = _Run(RunOrder(target_leukocytes=4), 12, ahead=3)
    said = {index: run.end(index) for index in range(10)}
    advised = [(at, each.is_final, each.reached) for at, all_said in said.items() for each in all_said if each.what == "stop"]
    (first_at, first_final, first), (then_at, then_final, then) = advised
    assert (first_at, first_final, then_final) == (3, False, True)
    assert first is not None and (first.field_index, first.wbc, first.reason) == (3, 4, "leukocytes")
    assert then_at > first_at and then is not None and (then.field_index, then.wbc) == (3, 4)
    run.end(10), run.end(11)
    result = run.account.result()
    assert result is not None and result.stop is not None
    assert (result.stop.final, result.stop.wbc, result.stop.overshoot_wbc, result.stop.overshoot_fields) == (then, 12, 8, 8)


def test_what_was_provisional_can_be_taken_back() -> None:
    run = _Run(RunOrder(target_leukocytes=3), 6, ahead=4)
    assert run.end(0) == run.end(1) == []
    assert [(each.what, each.is_final) for each in run.end(2)] == [("stop", False)]
    assert [each.what for each in run.end(3, _cell("smudge"), replaces_index=2)] == ["withdrawn"]
    assert "stop" in [each.what for each in run.end(4)], "and reached again"


def test_a_correction_behind_the_frontier_does_not_move_the_decision() -> None:
    run = _Run(RunOrder(target_leukocytes=1), 1, ahead=1)
    (said,) = run.end(0, _cell(presence=0.5))
    assert (said.what, said.is_final) == ("stop", True)
    run.account.announce([(5, (0, 0))])
    sums = run.account.ended(FieldEnd(5, (0, 0), [_cell("smudge")], SIZE, 10))
    assert [each.what for each in run.account.said()] == ["corrected"]
    assert sums is not None and sums.stop is not None
    assert (sums.stop.final, sums.final) == (said.reached, {"lymphocyte": 1})


def test_without_positions_the_rule_holds_all_the_same() -> None:
    account = SlideAccount(StageGeometry.upright(UM), *SIZE, RunOrder(field_cap=2))
    account.announce((index, None) for index in range(3))
    for index in range(3):
        sums = account.ended(FieldEnd(index))
        assert sums is not None and sums.final_until == index
    assert [(each.what, each.is_final) for each in account.said()] == [("stop", True)]
