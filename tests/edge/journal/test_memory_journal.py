"""The journal keeps every record until it is acknowledged, and never papers over a gap."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts.errors import StreamError
from edge.journal.memory_journal import MemoryJournal

pytestmark = pytest.mark.timeout(20)


def filled(n_fields: int, keep: int = 1000) -> MemoryJournal:
    journal = MemoryJournal(keep)
    journal.append(run_start("r"))
    for seq in range(1, n_fields + 1):
        journal.append(field_record("r", seq))
    return journal


@given(st.integers(0, 8), st.integers(0, 4), st.lists(st.integers(-1, 8), max_size=5))
def test_what_is_not_acknowledged_can_always_be_read(n_fields: int, keep: int, acks: list[int]) -> None:
    journal = filled(n_fields, keep)
    for upto_seq in acks:
        if upto_seq <= n_fields:
            journal.acknowledge("r", upto_seq)
    acknowledged = max([-1, *[ack for ack in acks if ack <= n_fields]])
    assert journal.acknowledged("r") == acknowledged
    first = max(0, acknowledged + 1 - keep)
    records = journal.read("r", first, 100)
    assert [seq for seq, _ in records] == list(range(first, n_fields + 1))
    assert [json.loads(content)["seq"] for _, content in records] == [seq for seq, _ in records]
    if first:
        with pytest.raises(StreamError, match=f"resume from seq {first}"):
            journal.read("r", first - 1, 1)


def test_reading_is_limited_and_ends_at_the_newest() -> None:
    journal = filled(5)
    assert [seq for seq, _ in journal.read("r", 2, 3)] == [2, 3, 4]
    assert journal.read("r", 6, 3) == []
    assert journal.read("unknown", 0, 3) == []


@pytest.mark.parametrize(
    ("record", "words"),
    [
        pytest.param(field_record("r", 4), "expects seq 3", id="a gap"),
        pytest.param(field_record("r", 2), "expects seq 3", id="a record again"),
        pytest.param(field_record("other", 1), "expects seq 0", id="a run that does not begin at 0"),
    ],
)
def test_a_record_out_of_sequence_is_a_defect(record: object, words: str) -> None:
    journal = filled(2)
    with pytest.raises(ValueError, match=words):
        journal.append(record)  # type: ignore[arg-type]
    assert journal.next_seq("r") == 3


def test_nothing_follows_run_stop() -> None:
    journal = filled(0)
    assert not journal.finished("r")
    journal.append(run_stop("r", 1))
    assert journal.finished("r")
    with pytest.raises(ValueError, match="finished"):
        journal.append(field_record("r", 2))


def test_a_record_that_was_never_written_cannot_be_acknowledged() -> None:
    with pytest.raises(ValueError, match="no record 3"):
        filled(2).acknowledge("r", 3)


def test_every_append_calls_back_without_holding_the_lock() -> None:
    journal = MemoryJournal()
    seen: list[int] = []
    journal.on_append(lambda: seen.append(journal.next_seq("r")))
    journal.append(run_start("r"))
    journal.append(field_record("r", 1))
    assert seen == [1, 2]
    assert journal.runs() == ["r"]
