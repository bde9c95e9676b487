"""A run counted once more from its records: what it found in each field, through the same account as when it was recorded.

Taken from the records are the detections, how each field ended, where it lies, and which triggers were announced by then. All
sums, each cell once, the order's stop rule and the differential are made anew, and held against what was recorded.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.camera.frame import Frame, SourceNote
from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Advice, Event, FieldRecord, FieldStatus, Record, RunOutcome, RunStart, RunStop
from edge.counting.places import Places
from edge.counting.slide_account import SlideAccount
from edge.journal.earlier_runs import RecordsOf, feed_runs, slide_result
from edge.local.differences import Difference, differences
from edge.pipeline.field_work import FieldJob
from edge.pipeline.intake import AdviceNote, Note
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_account import RunAccount
from edge.postprocess import Findings

_HEAD: tuple[str, ...] = ("seq", "wall_time", "boot_id")
_OF_THE_COUNT = frozenset({"count_corrected", "stop_withdrawn"})
"""Events that the counting itself gives."""
_KINDS: dict[bytes, type[Record]] = {
    b'{"type":"field"': FieldRecord,
    b'{"type":"event"': Event,
    b'{"type":"advice"': Advice,
    b'{"type":"run_start"': RunStart,
    b'{"type":"run_stop"': RunStop,
}


def record_of(content: bytes, where: str) -> Record:
    """A record as it was journalled. Raises `JournalError` for what is none."""
    kind = next((kind for start, kind in _KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise JournalError(f"{where} is no record; `leuko-edge runs verify` says what was changed.")
    return parse_json(kind, content, where, JournalError)


@dataclass(frozen=True, slots=True)
class Announced:
    """A trigger in the order of announcements, with where the stage was for it."""

    trigger_id: str
    field_index: int
    stage_nm: tuple[int, int] | None
    replaces: str | None = None


def announced_by(commands: Sequence[TriggerCommand]) -> list[Announced]:
    """Those of a run whose triggers a controller has announced."""
    return [Announced(each.trigger_id, each.field_index, _position(each), each.replaces) for each in commands]


def announced_in(record: FieldRecord) -> Announced:
    """One of a source that paces itself: its triggers are its fields."""
    return Announced(record.trigger_id, record.field_index, _position(record), record.replaces)


def _position(one: TriggerCommand | FieldRecord) -> tuple[int, int] | None:
    return (one.stage.x_nm, one.stage.y_nm) if one.stage else None


@dataclass(slots=True)
class Recounted:
    """What came out: `said` are the notes of the count, as (what, sentence)."""

    fields: int = 0
    differences: list[Difference] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


class Recount:
    """Feed every record of one run, in order, as (stored bytes, record); then `ends`."""

    def __init__(
        self,
        start: RunStart,
        announced: Sequence[Announced],
        *,
        is_triggered: bool,
        is_interrupted: bool,
        earlier: Sequence[str] = (),
        records_of: RecordsOf | None = None,
    ) -> None:
        about = start.provenance
        self._ledger = Ledger()
        self._places = Places() if is_triggered else None
        self._is_interrupted = is_interrupted
        self._start, self._earlier, self._records_of = start, earlier, records_of
        slide = None
        self._knows_stage = start.stage is not None
        if start.stage is not None:
            slide = SlideAccount(start.stage, about.frame_width_px, about.frame_height_px, start.order)
            self._knows_stage = not (feed_runs(records_of, earlier, slide) if records_of is not None else earlier)
        self._notes: list[tuple[str, str, int]] = []
        self._recorded_notes: list[tuple[str, str]] = []
        self._account = RunAccount(start.run_id, self._ledger, self._places, None, slide, self._note)
        self._waiting = deque(announced)
        self._now = 0
        self.found = Recounted()
        if start.stage is not None and not self._knows_stage:
            self.found.remarks.append(
                "the run goes on with the fields of another one that is not held whole: cells of overlapping fields stay."
            )
        elif not self._knows_stage:
            self.found.remarks.append(
                "this run does not say how its images lie on the stage: cells of overlapping fields stay."
            )

    def add(self, content: bytes, record: Record) -> None:
        """The next record."""
        if isinstance(record, FieldRecord):
            self._field(content, record)
        elif isinstance(record, RunStop):
            self._stop(content, record)
        elif isinstance(record, Advice) and record.advice == "stop":
            self._recorded_notes.append(("stop", record.reason))
        elif isinstance(record, Event) and record.code in _OF_THE_COUNT:
            self._recorded_notes.append((record.code, record.message))

    def ends(self) -> Recounted:
        """After the last record."""
        again = [(what, said) for what, said, _ in self._notes]
        settled = [(what, said) for what, said, at in self._notes if at != self._now]
        # What the very last field gave to say may have come too late to be recorded.
        if self._recorded_notes not in (again, settled):
            self.found.differences.append(Difference("the run", "advice and corrections", self._recorded_notes, again))
        return self.found

    def _field(self, content: bytes, record: FieldRecord) -> None:
        self.found.fields += 1
        self._now = record.field_index
        slide = record.running.slide
        try:
            self._announce(record, slide.announced_until if slide else record.field_index)
            again = self._account.field(_job_of(record))
        except (ValueError, KeyError) as problem:  # the account refuses a trigger that ends twice, or was never announced
            self.found.differences.append(Difference(_name(record), "its end", "recorded", str(problem)))
            return
        keep: dict[str, Any] = {name: getattr(record, name) for name in (*_HEAD, "times", "batch", "source_name", "detail")}
        is_of_the_next_process = self._is_interrupted and record.status is FieldStatus.LOST and record.t_host_ns == 0
        if is_of_the_next_process or not self._knows_stage:
            keep["running"] = again.running.model_copy(update={"slide": slide})
        self.found.differences += differences(_name(record), content, again.model_copy(update=keep).model_dump_json().encode())

    def _announce(self, record: FieldRecord, until: int) -> None:
        while self._waiting and self._waiting[0].field_index <= max(until, record.field_index):
            one = self._waiting.popleft()
            self._ledger.issue(one.trigger_id, one.field_index, one.stage_nm)
            if self._places is not None and one.replaces is not None:
                self._places.claim(one.trigger_id, one.replaces, is_open=False)

    def _stop(self, content: bytes, record: RunStop) -> None:
        for one in self._waiting:  # announced behind the last field, and without an end: the sums show it
            self._ledger.issue(one.trigger_id, one.field_index, one.stage_nm)
        again = self._account.stop(record.outcome, record.detail, record.source)
        keep: dict[str, Any] = {name: getattr(record, name) for name in (*_HEAD, "duration_s", "doubts", "carried", "source")}
        if not self._knows_stage or (self._is_interrupted and self._records_of is None):
            keep["slide"] = record.slide
        elif self._is_interrupted and self._records_of is not None:
            # Ended by the next process, as if the fields that it lost were about to be repeated.
            keep["slide"] = record.slide and slide_result(self._records_of, self._start, self._earlier)
        if record.carried is not None:
            self.found.remarks.append("sums carried over from other runs are taken as recorded: replay those runs, too.")
        self.found.differences += differences("run_stop", content, again.model_copy(update=keep).model_dump_json().encode())

    def _note(self, note: Note) -> None:
        if isinstance(note, AdviceNote):
            self._notes.append(("stop", note.reason, self._now))
        elif isinstance(note, SourceNote) and note.code in _OF_THE_COUNT:
            self._notes.append((note.code, note.message, self._now))


def _name(record: FieldRecord) -> str:
    return f"field {record.field_index} (record {record.seq})"


def _job_of(record: FieldRecord) -> FieldJob:
    """The field as it stood before it was counted."""
    stage = record.stage
    frame = Frame(
        record.trigger_id,
        record.field_index,
        "ok" if record.counted else "failed",
        None,
        record.um_per_px or 0.0,
        record.t_host_ns,
        record.t_host_ns,
        record.frame_id,
        record.t_camera_ns,
        (stage.x_nm, stage.y_nm) if stage else None,
        record.source_name,
        record.detail,
        age_ms=record.age_ms,
        z_nm=stage.z_nm if stage else None,
    )
    job = FieldJob(frame, record.width_px, record.height_px, quality=record.quality)
    if record.counted:
        counts = dict(Counter(cell.label for cell in record.detections))
        job.findings = Findings(record.detections, counts, record.overflow)
    job.end(record.status, record.detail)
    return job


def recount(
    contents: Iterator[bytes],
    last: bytes,
    run_id: str,
    commands: Sequence[TriggerCommand],
    fields: Sequence[Announced],
    records_of: RecordsOf | None = None,
) -> Recounted:
    """Count a whole run anew; `last` is its last record. `fields`: of a source that paces itself, in place of `commands`.
    `records_of` gives the records of runs that this one continues.

    Raises `JournalError` for what are no records.
    """
    first = next(contents, None)
    start = None if first is None else record_of(first, f"record 0 of run {run_id}")
    if not isinstance(start, RunStart):
        raise JournalError(f"run {run_id} does not begin with run_start; `leuko-edge runs verify` says what was changed.")
    end = record_of(last, f"the last record of run {run_id}")
    is_interrupted = isinstance(end, RunStop) and end.outcome is RunOutcome.INTERRUPTED
    announced = announced_by(commands) or list(fields)
    earlier = end.slide.run_ids if isinstance(end, RunStop) and end.slide is not None else ()
    again = Recount(
        start,
        announced,
        is_triggered=bool(commands),
        is_interrupted=is_interrupted,
        earlier=earlier,
        records_of=records_of,
    )
    for seq, content in enumerate(contents, 1):
        again.add(content, record_of(content, f"record {seq} of run {run_id}"))
    return again.ends()
