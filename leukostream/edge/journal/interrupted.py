"""Ends the runs that a former edge process left open: it crashed, was killed, or lost its power."""

from datetime import datetime

from leukostream.edge.contracts.base import parse_json
from leukostream.edge.contracts.errors import JournalError
from leukostream.edge.contracts.records import FieldRecord, Running, RunStart, RunStop
from leukostream.edge.contracts.status import RunOutcome
from leukostream.edge.counting.differential import differential
from leukostream.edge.journal.base import Journal

_STEP = 64
_FIELD = b'{"type":"field"'
_DETAIL = (
    "the edge process ended in mid-run; fields that it had taken in and not recorded are in no count: repeat them in a new run."
)


def end_interrupted(journal: Journal, wall_time: str) -> list[str]:
    """Append `run_stop` with outcome interrupted to every run without one; returns their ids.

    Its sums are those of the last field on record: only what was recorded is known, so `triggers` counts those fields alone.
    Raises `JournalError` when a run's records cannot be understood.
    """
    ended = []
    for run_id in journal.runs():
        if journal.finished(run_id):
            continue
        next_seq = journal.next_seq(run_id)
        start = parse_json(RunStart, journal.read(run_id, 0, 1)[0][1], f"record 0 of run {run_id}", JournalError)
        running, last_wall_time = _last_field(journal, run_id, next_seq)
        fields, cells = (running.fields, running.cells) if running else ({}, {})
        journal.append(
            RunStop(
                run_id=run_id,
                seq=next_seq,
                wall_time=wall_time,
                outcome=RunOutcome.INTERRUPTED,
                detail=_DETAIL,
                triggers=sum(fields.values()),
                fields=fields,
                sums_match=True,
                cells=cells,
                differential=differential(cells),
                duration_s=_seconds_between(start.wall_time, last_wall_time or start.wall_time),
            )
        )
        ended.append(run_id)
    return ended


def _last_field(journal: Journal, run_id: str, next_seq: int) -> tuple[Running | None, str]:
    """Sums and time of the newest field on record."""
    for end in range(next_seq, 0, -_STEP):
        first = max(0, end - _STEP)
        for seq, content in reversed(journal.read(run_id, first, end - first)):
            if content.startswith(_FIELD):
                field = parse_json(FieldRecord, content, f"record {seq} of run {run_id}", JournalError)
                return field.running, field.wall_time
    return None, ""


def _seconds_between(start: str, end: str) -> float:
    return max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
