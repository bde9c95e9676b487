"""What is said of telemetry that came, and of what did not come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contracts.messages import Live
from edge.contracts.records import FieldStatus
from edge.published.vectors_telemetry import TELEMETRY_VECTORS
from edge.view.heard import Heard

pytestmark = pytest.mark.timeout(60)


def live(seq: int, n_fields: int, *, boot: str = "b", run: str | None = "r") -> Live:
    """As an edge says it after `n_fields` fields, which it ends ten of in a second."""
    message = TELEMETRY_VECTORS["live"]
    assert isinstance(message, Live) and message.last_field is not None
    last = message.last_field.model_copy(
        update={"field_index": n_fields - 1, "seq": n_fields, "trigger_id": f"{run}-{n_fields}"}
    )
    return message.model_copy(
        update={
            "telemetry_seq": seq,
            "boot_id": boot,
            "run_id": run,
            "t_ns": n_fields * 100_000_000,
            "fields": {FieldStatus.OK: n_fields} if n_fields else {},
            "last_field": last if n_fields else None,
        }
    )


def heard(*messages: Live) -> Heard:
    one = Heard()
    for message in messages:
        one.hear(message, 0.0)
    return one


@pytest.mark.parametrize(
    ("messages", "missed", "restarts", "unseen", "gaps"),
    [
        pytest.param([live(0, 0), live(1, 1), live(2, 2)], 0, 0, 0, [], id="all came"),
        pytest.param([live(0, 1), live(1, 1), live(2, 1)], 0, 0, 0, [], id="nothing happened meanwhile"),
        pytest.param([live(7, 5)], 0, 0, 4, [0, 1, 2, 3], id="who comes late has missed no message, and does not know fields"),
        pytest.param([live(0, 1), live(4, 5)], 3, 0, 3, [1, 2, 3], id="messages were dropped"),
        pytest.param([live(0, 1), live(1, 3)], 0, 0, 1, [1], id="two fields between two messages"),
        pytest.param([live(9, 3), live(0, 1, boot="c")], 0, 1, 0, [], id="another process counts anew"),
        pytest.param([live(0, 3), live(1, 0, run="s"), live(2, 1, run="s")], 0, 0, 0, [], id="another run begins empty"),
    ],
)  # fmt: skip
def test_what_did_not_come_is_a_gap(messages: list[Live], missed: int, restarts: int, unseen: int, gaps: list[int]) -> None:
    one = heard(*messages)
    assert (one.missed, one.restarts, one.unseen, one.gaps()) == (missed, restarts, unseen, gaps)


def test_the_sums_of_the_run_before_are_not_taken_for_the_new_one() -> None:
    before = live(0, 3, run="r")
    named = before.model_copy(update={"telemetry_seq": 1, "run_id": "s"})
    one = heard(before, named)
    assert (one.is_of_the_run_before, one.ended, one.unseen, one.fields) == (True, 0, 0, {})
    one.hear(live(2, 2, run="s"), 0.0)
    assert (one.is_of_the_run_before, one.ended, one.unseen) == (False, 2, 1)


def test_the_pace_is_that_of_the_last_ten_seconds() -> None:
    one = heard(*(live(seq, seq * 2) for seq in range(1, 400)))
    assert one.pace.fields_per_s == pytest.approx(10.0)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_every_field_that_ended_was_seen_or_is_unseen(came: list[bool]) -> None:
    one = heard(*(live(seq, seq + 1) for seq, comes in enumerate(came) if comes))
    assert len(one.fields) + one.unseen == one.ended
    assert one.messages + one.missed <= len(came)
    assert set(one.gaps()).isdisjoint(one.fields)
    assert len(one.gaps()) == one.unseen
