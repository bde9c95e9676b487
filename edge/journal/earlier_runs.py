"""Fields of runs that a journal holds, counted once more into the count across fields: of runs that another one continues, and
of a run whose edge was killed.

Each run is fed as it was counted: its triggers as far as they were announced when a field ended, then that field.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError, StreamError
from edge.contracts.records import FieldRecord, FieldStatus, RunStart, SlideResult
from edge.contracts.stage_geometry import Position
from edge.counting.slide_account import FieldEnd, SlideAccount
from edge.journal.base import Journal

_STEP = 256
_FIELD = b'{"type":"field"'
_SAME_SCALE = 0.02
"""Boxes of a run whose pixels are of another size than this one's do not fit together with its own."""


RecordsOf = Callable[[str], Iterator[bytes]]
"""The records of a run from its first on; raises `StreamError` or LookupError where they are not held whole."""


def held_by(journal: Journal) -> RecordsOf:
    """Of the runs in a journal; raises `JournalError` when it can no longer be written."""

    def records_of(run_id: str) -> Iterator[bytes]:
        journal.settle()  # what was appended last can be read, every time
        if not journal.holds(run_id) or journal.first_seq(run_id) > 0:
            raise LookupError(run_id)
        for first in range(0, journal.next_seq(run_id), _STEP):
            yield from (content for _, content in journal.read(run_id, first, _STEP))

    return records_of


def feed_runs(records_of: RecordsOf, run_ids: Sequence[str], account: SlideAccount) -> tuple[str, ...]:
    """Let `account` count the fields of these runs, oldest first, before its own; returns the runs that could not be fed.

    One that is not held from its first record on cannot, nor one that was taken with pixels of another size. Raises
    `JournalError` for records that cannot be understood.
    """
    fed = [run_id for run_id in run_ids if _can_be_fed(records_of, run_id, account)]
    account.continues(fed)
    for run_id in fed:
        _feed(records_of, run_id, account)
        account.next_run()
    return tuple(run_id for run_id in run_ids if run_id not in fed)


def slide_result(records_of: RecordsOf, start: RunStart, earlier: Sequence[str] = ()) -> SlideResult | None:
    """Each cell once, of a run whose last field is on record and which has no end yet; None where `run_stop` would have none.

    Raises `JournalError` for records that cannot be understood.
    """
    if start.stage is None:
        return None
    about = start.provenance
    account = SlideAccount(start.stage, about.frame_width_px, about.frame_height_px, start.order)
    feed_runs(records_of, earlier, account)
    _feed(records_of, start.run_id, account)
    return account.result()


def _can_be_fed(records_of: RecordsOf, run_id: str, account: SlideAccount) -> bool:
    try:
        start = parse_json(RunStart, next(records_of(run_id)), f"record 0 of run {run_id}", JournalError)
    except (StreamError, JournalError, LookupError, StopIteration):
        return False
    return start.stage is not None and abs(start.stage.pixel_um / account.pixel_um - 1) <= _SAME_SCALE


def _feed(records_of: RecordsOf, run_id: str, account: SlideAccount) -> None:
    triggers = deque(_triggers(records_of, run_id))
    index_of: dict[str, int] = {}
    for content in _fields(records_of, run_id):
        record = parse_json(FieldRecord, content, f"a field of run {run_id}", JournalError)
        until = record.running.slide.announced_until if record.running.slide else -1
        ahead = []
        while triggers and triggers[0][0] <= max(until, record.field_index):
            ahead.append(triggers.popleft())
        account.announce(ahead)
        index_of[record.trigger_id] = record.field_index
        if record.status is FieldStatus.LOST and record.t_host_ns == 0:  # with its edge; it may be about to be repeated
            account.lost_with_its_edge(record.field_index)
            continue
        account.ended(end_of(record, index_of.get(record.replaces or "")))


def end_of(record: FieldRecord, replaces_index: int | None) -> FieldEnd:
    """What the count across fields needs of a record; `replaces_index` is the field that its `replaces` names."""
    stage = record.stage
    return FieldEnd(
        record.field_index,
        (stage.x_nm, stage.y_nm) if stage else None,
        record.detections,
        (record.width_px or 0, record.height_px or 0),
        record.t_host_ns,
        replaces_index if record.counted else None,
        left_out=record.quality is not None and record.quality.left_out,
    )


def _triggers(records_of: RecordsOf, run_id: str) -> list[tuple[int, Position | None]]:
    """Index and position of every field, in the order of the index: that of their announcements."""
    found = []
    for content in _fields(records_of, run_id):
        field = json.loads(content)
        stage = field["stage"]
        found.append((field["field_index"], (int(stage["x_nm"]), int(stage["y_nm"])) if stage else None))
    return sorted(found, key=lambda trigger: trigger[0])


def _fields(records_of: RecordsOf, run_id: str) -> Iterator[bytes]:
    return (content for content in records_of(run_id) if content.startswith(_FIELD))
