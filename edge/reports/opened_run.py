"""A run out of a journal: its records checked, its reviews read, and the report that both together give."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError
from edge.contracts.records import Advice, Event, FieldRecord, Record, RunStart, RunStop
from edge.contracts.user_paths import expanded
from edge.journal.archive import Archive, StoredRun
from edge.journal.reviews import StoredReviews, note_report, stored_reviews
from edge.reports.report_making import report_of
from edge.reports.run_report import Chain, Judgement, Report

_KINDS: tuple[tuple[bytes, type[Record]], ...] = (
    (b'{"type":"field"', FieldRecord),
    (b'{"type":"event"', Event),
    (b'{"type":"advice"', Advice),
    (b'{"type":"run_start"', RunStart),
    (b'{"type":"run_stop"', RunStop),
)


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """Everything a journal has of one run. `lacks`: what the file is missing, as a sentence part; empty when nothing is."""

    journal: Path
    stored: StoredRun
    reviews: StoredReviews
    report: Report
    lacks: str

    def note(self, what: str) -> str:
        """A file was made of the report: noted in the journal of a run that was to stay until then. Returns what to tell."""
        if not self.is_waited_for:
            return ""
        try:
            note_report(self.journal, self.stored, what)
        except JournalError as problem:
            return f"{problem} The run stays in it as one without a report."
        return ""

    is_waited_for: bool = False
    """whether its settings keep it until a report was made of it"""


def opened_run(journal: Path, run_id: str) -> OpenedRun:
    """The run, however it ended, whole or not: `report.chain` says which.

    Raises `JournalError` when the journal cannot be read, has no such run, or holds records that nobody can read.
    """
    with _archive(journal) as (path, archive):
        stored = archive.run(run_id)
        problem = archive.problem(stored)
        reviews = stored_reviews(archive, stored)
        wrong = "; ".join(filter(None, (problem, reviews.problem)))
        chain = Chain(
            is_whole=not wrong,
            verdict=wrong or "whole",
            records=stored.records,
            last_link=stored.link.hex(),
            reviews=len(reviews.reviews),
            last_review_link=reviews.last_link.hex(),
        )
        # What a person has said of other records is not said of these.
        judgements = {} if wrong else judgements_of(reviews)
        waits = False

        def heard() -> Iterator[Record]:
            nonlocal waits
            for record in _records(archive, stored):
                waits = waits or (isinstance(record, RunStart) and record.settings.get("journal_keep_unreported") is True)
                yield record

        report = report_of(heard(), judgements, chain, () if wrong else reviews.reviews)
        return OpenedRun(path, stored, reviews, report, archive.lacks, waits)


def judgements_of(reviews: StoredReviews) -> dict[str, Judgement]:
    """The last review of each detection."""
    return {
        one.cell: Judgement(
            number=number, verdict=one.verdict, label=one.label, who=one.who, why=one.why, wall_time=one.wall_time
        )
        for number, one in enumerate(reviews.reviews)
    }


def _records(archive: Archive, run: StoredRun) -> Iterator[Record]:
    for seq, content in enumerate(archive.records(run)):
        yield record_in(content, run.run_id, seq)


def record_in(content: bytes, run_id: str, seq: int) -> Record:
    """A record as it lies in a journal. Raises `JournalError` when it is none."""
    kind = next((kind for start, kind in _KINDS if content.startswith(start)), None)
    if kind is None:
        raise JournalError(f"record {seq} of run {run_id} is none; `leuko-edge runs verify` says what was changed.")
    return parse_json(kind, content, f"record {seq} of run {run_id}", JournalError)


@contextmanager
def _archive(journal: Path) -> Iterator[tuple[Path, Archive]]:
    path = expanded(journal)
    archive = Archive(path)
    try:
        yield path, archive
    finally:
        archive.close()
