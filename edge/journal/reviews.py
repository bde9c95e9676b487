"""What people have said of the cells of a run, and that reports were made of it: beside its records, which never change.

Reviews are a chain of their own: the first link is SHA-256 over the word `reviews` and the last link of the run's records, each
further one over the link before it and the review's JSON bytes. So they belong to these very records, and one that was changed,
removed from between others or moved is found. That the newest ones were removed is found by who has noted the last link.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from edge.contracts.base import Wire, parse_json
from edge.contracts.errors import JournalError, first_line
from edge.journal.archive import Archive, StoredRun
from edge.journal.journal_file import close_marked, hold, mark_open, trouble_of
from edge.journal.tables import BESIDE, connect, next_link

Verdict = Literal["label", "reject", "confirm", "add"]


class Review(Wire):
    """One judgement of one detection. `label` is what its cell is called from now on, None when it is none.

    One that adds a cell gives it its id (`f17a0`) and says where it is; others lack these three keys."""

    review: Literal[1] = 1
    cell: str
    verdict: Verdict
    old_label: str | None
    label: str | None
    who: str
    why: str
    wall_time: str
    field_index: int | None = None
    box_px: tuple[float, float, float, float] | None = None
    box_is_assumed: bool | None = None
    """whether the person has said where it is and not how large"""

    def content(self) -> bytes:
        """As it is kept."""
        return self.model_dump_json(exclude=None if self.verdict == "add" else set(_OF_ADDED)).encode()


_OF_ADDED = ("field_index", "box_px", "box_is_assumed")


@dataclass(frozen=True, slots=True)
class StoredReviews:
    """Those of a run in their order, the last link of their chain, and what is wrong with it; empty when nothing is."""

    reviews: tuple[Review, ...] = ()
    last_link: bytes = b""
    problem: str = ""


def first_review_link(run_link: bytes) -> bytes:
    """Where the chain of reviews begins, 32 bytes; `run_link` is the last link of the run's records."""
    return hashlib.sha256(b"reviews" + run_link).digest()


def stored_reviews(archive: Archive, run: StoredRun) -> StoredReviews:
    """Raises `JournalError` when the file cannot be read. A broken chain is no error here: `problem` says so."""
    link, reviews = first_review_link(run.link), list[Review]()
    for expected, (number, content, kept) in enumerate(archive.reviews(run)):
        link = next_link(link, content)
        if number != expected or link != kept:
            what = f"reviews {expected} to {number - 1} are missing" if number > expected else ""
            what = what or f"review {number} is not what was written, or its run is not"
            return StoredReviews(tuple(reviews), link, what)
        try:
            reviews.append(parse_json(Review, content, f"review {number}", JournalError))
        except JournalError as problem:
            return StoredReviews(tuple(reviews), link, first_line(problem))
    return StoredReviews(tuple(reviews), link if reviews else b"")


def append_reviews(path: Path, run: StoredRun, stood: StoredReviews, reviews: Sequence[Review]) -> None:
    """All of `reviews` or none, behind those that `stood` when they were made. Raises `JournalError`.

    An edge may be writing other runs of this journal meanwhile.
    """
    with _writing(path, "the reviews") as connection:
        (number,) = connection.execute("SELECT count(*) FROM reviews WHERE run = ?", (run.number,)).fetchone()
        found = connection.execute(
            "SELECT link FROM runs JOIN records ON run = number WHERE name = ? ORDER BY seq DESC LIMIT 1", (run.run_id,)
        ).fetchone()
        if number != len(stood.reviews) or found is None or found[0] != run.link:
            raise JournalError(f"run {run.run_id} of journal {path} has changed while its reviews were read; give them again.")
        link = stood.last_link or first_review_link(run.link)
        for number_of, review in enumerate(reviews, start=number):
            content = review.content()
            link = next_link(link, content)
            connection.execute(
                "INSERT INTO reviews (run, number, content, link) VALUES (?, ?, ?, ?)", (run.number, number_of, content, link)
            )


def note_report(path: Path, run: StoredRun, what: str) -> None:
    """A report was made of this run, so that it need not be kept for want of one. Raises `JournalError`."""
    with _writing(path, "that a report was made") as connection:
        connection.execute("INSERT INTO reports (run, wall_time, what) VALUES (?, ?, ?)", (run.number, now(), what))


def now() -> str:
    """The time as records have it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


@contextmanager
def _writing(path: Path, what: str) -> Iterator[sqlite3.Connection]:
    """A transaction that is committed at the end. Raises `JournalError` when the file does not take it."""
    try:
        with contextlib.ExitStack() as undo:
            connection, close = _opened(path, undo)
            undo.callback(close)
            connection.executescript(BESIDE)
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection
    except (OSError, sqlite3.Error) as problem:
        held = isinstance(problem, sqlite3.Error) and trouble_of(problem) == "held"
        remedy = "close the program that holds it" if held else "check its disk, and whether you may write there"
        raise JournalError(f"journal {path} does not take {what} ({first_line(problem)}); {remedy}.") from problem


def _opened(path: Path, undo: contextlib.ExitStack) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """A connection and how it is closed: where no edge has the journal open it is marked, as an edge would."""
    try:
        undo.callback(hold(path).close)
    except JournalError:  # an edge writes it, and has marked it
        connection = connect(path)
        return connection, connection.close
    connection = connect(path)
    try:
        mark_open(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection, lambda: close_marked(connection, path)


def count_reviews(contents: Iterable[Review]) -> dict[str, int]:
    """How many of each verdict."""
    found: dict[str, int] = {}
    for review in contents:
        found[review.verdict] = found.get(review.verdict, 0) + 1
    return found
