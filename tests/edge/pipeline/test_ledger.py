"""The account of triggers: whatever is done with them, the sums tell the truth."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.records import FieldStatus
from edge.pipeline.ledger import Ledger, LedgerRefusal

pytestmark = pytest.mark.timeout(20)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(FieldStatus), st.booleans()), max_size=60))
def test_each_issued_trigger_is_counted_exactly_once(steps: list[tuple[int, FieldStatus, bool]]) -> None:
    ledger, open_triggers, expected = Ledger(), {}, []
    for index, status, closes in steps:
        with suppress(LedgerRefusal):
            ledger.issue(f"t{index}", index)
            open_triggers[f"t{index}"] = status
        if closes and open_triggers:
            trigger_id, end = open_triggers.popitem()
            ledger.close(trigger_id, end)
            expected.append(end)
    assert ledger.sums_match() is (not open_triggers)
    for trigger_id, end in open_triggers.items():
        ledger.close(trigger_id, end)
        expected.append(end)
    assert ledger.sums_match()
    assert ledger.issued == len(expected)
    assert ledger.ended() == {status: expected.count(status) for status in FieldStatus if status in expected}


def test_a_trigger_cannot_end_twice() -> None:
    ledger = Ledger()
    ledger.issue("a", 0)
    ledger.close("a", FieldStatus.OK)
    with pytest.raises(ValueError, match="not open"):
        ledger.close("a", FieldStatus.FAILED)
    assert ledger.ended() == {FieldStatus.OK: 1}


@pytest.mark.parametrize(
    ("second", "why"),
    [
        pytest.param(("a", 1), "twice", id="the same trigger while it is open"),
        pytest.param(("b", 0), "after field 0", id="the same field again"),
        pytest.param(("b", -1), "after field 0", id="an earlier field, late"),
    ],
)
def test_repeated_and_late_triggers_are_refused(second: tuple[str, int], why: str) -> None:
    ledger = Ledger()
    ledger.issue("a", 0)
    with pytest.raises(LedgerRefusal, match=why):
        ledger.issue(*second)
    assert ledger.issued == 1


def test_a_sealed_ledger_takes_no_trigger() -> None:
    ledger = Ledger()
    ledger.seal()
    with pytest.raises(LedgerRefusal, match="closed its account"):
        ledger.issue("a", 0)
    assert ledger.sums_match()
