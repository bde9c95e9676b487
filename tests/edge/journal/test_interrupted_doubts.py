"""What a run had on record against its result is in its end, also where that end was written for it."""

from pathlib import Path

import pytest
from support.scripted_run import WALL, field_record, run_start

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError
from edge.contracts.records import Event, Record, RunOutcome, RunStop
from edge.journal.base import Journal
from edge.journal.interrupted import MOST_DOUBTS, end_interrupted
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal

pytestmark = pytest.mark.timeout(60)


def noted(seq: int, doubt: str | None, code: str = "same_picture") -> Event:
    said = f"event {seq}"
    return Event(run_id="r", seq=seq, wall_time=WALL, severity="warning", code=code, message=said, doubt=doubt)


def stop_of(journal: Journal, records: list[Record]) -> RunStop:
    for record in records:
        journal.append(record)
    journal.settle()
    assert end_interrupted(journal, WALL) == ["r"]
    journal.settle()
    last = journal.next_seq("r") - 1
    return parse_json(RunStop, journal.read("r", last, 1)[0][1], "the last record", JournalError)


@pytest.mark.parametrize(
    ("doubts", "expected"),
    [
        pytest.param([], (), id="nothing was noted"),
        pytest.param([None, None], (), id="events that cast none"),
        pytest.param(["the um/px is wrong."], ("the um/px is wrong.",), id="one"),
        pytest.param(["a.", None, "b.", "a."], ("a.", "b."), id="several, each once and in their order"),
        pytest.param(
            [f"{n}." for n in range(50)], tuple(f"{n}." for n in range(MOST_DOUBTS)), id="no more than a run would say"
        ),
    ],
)
def test_the_end_of_an_interrupted_run_has_its_doubts(
    tmp_path: Path, doubts: list[str | None], expected: tuple[str, ...]
) -> None:
    events = [noted(2 + at, doubt) for at, doubt in enumerate(doubts)]
    for journal in (MemoryJournal(), SqliteJournal(tmp_path / "journal.sqlite")):
        stop = stop_of(journal, [run_start("r"), field_record("r", 1), *events])
        assert stop.outcome is RunOutcome.INTERRUPTED and stop.doubts == expected
        if isinstance(journal, SqliteJournal):
            journal.close()


def test_events_of_an_edge_that_did_not_name_doubts_are_read() -> None:
    journal = MemoryJournal()
    records: list[Record] = [run_start("r"), field_record("r", 1), noted(2, None)]
    assert b'"doubt":null' in records[-1].model_dump_json().encode()
    assert stop_of(journal, records).doubts == ()
