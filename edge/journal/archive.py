"""Reads a journal that no edge need be running for: its runs, their records, and whether the chain holds."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError, first_line
from edge.contracts.messages import TriggerCommand
from edge.journal.journal_file import has_log, lacking, lacks_log, log_of, trouble_of
from edge.journal.stale_log import stale_log
from edge.journal.sums_check import wrong_sums
from edge.journal.tables import first_link, next_link


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it lies in the file. `link` is that of its last record."""

    run_id: str
    number: int
    records: int
    acknowledged: int
    link: bytes

    @property
    def unacknowledged(self) -> int:
        """Records that no controller has said it holds."""
        return self.records - 1 - self.acknowledged


class Archive:
    """An open journal file, read only, wherever it lies. Raises `JournalError` when it is none.

    `lacks` says what is missing of it, as a sentence part; empty when nothing is. What is there can be read all the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        try:
            if not path.is_file():
                raise JournalError(f"there is no journal {path}; give the file that `leuko-edge run --journal` wrote.")
            if stale := stale_log(path):
                raise JournalError(f"{stale}.")
            self.lacks = lacking(path) if lacks_log(path) else ""
            self._connection = self._connected()
        except (OSError, sqlite3.Error, UnicodeError) as problem:
            raise JournalError(self._unreadable(problem)) from problem

    def _connected(self) -> sqlite3.Connection:
        """SQLite wants to write beside the file it reads, if only an index; where it must not, it is told so or gets a copy."""
        if self.lacks:
            return _readable(
                self._path, "immutable=1"
            )  # else it would put an empty log in the place of the one that is missing
        try:
            return _readable(self._path, "mode=ro")
        except sqlite3.OperationalError:
            if not has_log(self._path):
                return _readable(self._path, "immutable=1")
            self._copy = tempfile.TemporaryDirectory(prefix="leukostream-journal-")
            for each in (self._path, log_of(self._path)):
                shutil.copyfile(each, Path(self._copy.name, each.name))
            return _readable(Path(self._copy.name, self._path.name), "mode=rw")

    def runs(self) -> list[StoredRun]:
        """Oldest first."""
        rows = self._select(
            "SELECT name, number, (SELECT count(*) FROM records WHERE run = number), acknowledged, "
            "(SELECT link FROM records WHERE run = number ORDER BY seq DESC LIMIT 1) FROM runs ORDER BY number"
        )
        return [StoredRun(name, number, n_records, acked, link or b"") for name, number, n_records, acked, link in rows]

    def run(self, run_id: str) -> StoredRun:
        """The run of this id, or the only one whose id begins so. Raises `JournalError`."""
        found = [run for run in self.runs() if run.run_id.startswith(run_id)]
        exact = [run for run in found if run.run_id == run_id] or found
        if not exact:
            self._say_forgotten(run_id)
        if len(exact) != 1:
            what = f"{len(exact)} runs whose id begins with" if exact else "no run"
            raise JournalError(f"journal {self._path} has {what} {run_id}; `leuko-edge runs list` names them.")
        return exact[0]

    def _say_forgotten(self, run_id: str) -> None:
        names: list[tuple[str, str, int]] = []
        if self._has("forgotten"):
            names = list(self._select("SELECT name, wall_time, records FROM forgotten ORDER BY rowid"))
        for name, wall_time, n_records in reversed(names):
            if name.startswith(run_id):
                raise JournalError(
                    f"run {name} is gone from journal {self._path}: its {n_records} records had been acknowledged, and were "
                    f"deleted on {wall_time[:10]} as journal_keep_days and journal_keep_mb allow; who received them has them."
                )

    def reviews(self, run: StoredRun) -> Iterator[tuple[int, bytes, bytes]]:
        """Number, JSON bytes and link of everything that people have said of the run's cells, in order."""
        if self._has("reviews"):
            yield from self._select(
                "SELECT number, CAST(content AS BLOB), link FROM reviews WHERE run = ? ORDER BY number", run.number
            )

    def n_reports(self, run: StoredRun) -> int:
        """How many reports were made of it, as far as that was noted."""
        if not self._has("reports"):
            return 0
        ((n_reports,),) = self._select("SELECT count(*) FROM reports WHERE run = ?", run.number)
        return int(n_reports)

    def _has(self, table: str) -> bool:
        """An older version's journal lacks some."""
        ((found,),) = self._select("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", table)
        return bool(found)

    def records(self, run: StoredRun) -> Iterator[bytes]:
        """JSON bytes of every record, in order of seq."""
        for (content,) in self._select("SELECT CAST(content AS BLOB) FROM records WHERE run = ? ORDER BY seq", run.number):
            yield content

    def records_from(self, run_number: int, seq: int, most: int) -> list[bytes]:
        """JSON bytes of up to `most` records from `seq` on."""
        query = "SELECT CAST(content AS BLOB) FROM records WHERE run = ? AND seq >= ? ORDER BY seq LIMIT ?"
        return [content for (content,) in self._select(query, run_number, seq, most)]

    def numbers(self) -> dict[str, int]:
        """Number of every run by its name, oldest first; cheap, however many records they have."""
        return {name: int(number) for name, number in self._select("SELECT name, number FROM runs ORDER BY number")}

    def n_reviews(self, run_number: int) -> int:
        """How many judgements people have made of its cells."""
        if not self._has("reviews"):
            return 0
        ((n_reviews,),) = self._select("SELECT count(*) FROM reviews WHERE run = ?", run_number)
        return int(n_reviews)

    def commands(self, run: StoredRun) -> list[TriggerCommand]:
        """Every TRIGGER that was accepted, in the order of announcement; none of a source that paces itself.

        Raises `JournalError` for one that cannot be read.
        """
        rows = self._select("SELECT CAST(command AS BLOB) FROM triggers WHERE run = ? ORDER BY place", run.number)
        return [parse_json(TriggerCommand, each, f"a trigger of run {run.run_id}", JournalError) for (each,) in rows]

    def first_and_last(self, run: StoredRun) -> tuple[bytes, bytes]:
        """JSON bytes of the run's first record and of its last one so far."""
        query = "SELECT CAST(content AS BLOB) FROM records WHERE run = ? ORDER BY seq {} LIMIT 1"
        ends = [content for order in ("ASC", "DESC") for (content,) in self._select(query.format(order), run.number)]
        if not ends:
            raise JournalError(f"run {run.run_id} of journal {self._path} has no record; `leuko-edge runs verify` says more.")
        return ends[0], ends[1]

    def problem(self, run: StoredRun) -> str:
        """What is wrong with the run: its chain, a trigger without its one field, or the sums; empty when nothing is."""
        return self._broken_chain(run) or self._wrong_account(run)

    def _wrong_account(self, run: StoredRun) -> str:
        """A run that has ended must be what its last record says, and every announced trigger have exactly one field."""
        announced = [name for (name,) in self._select("SELECT name FROM triggers WHERE run = ? ORDER BY place", run.number)]
        try:
            return wrong_sums(self.records(run), announced)
        except (LookupError, TypeError, ValueError) as problem:
            return f"a record is none ({problem})"

    def _broken_chain(self, run: StoredRun) -> str:
        rows = self._select("SELECT seq, CAST(content AS BLOB), link FROM records WHERE run = ? ORDER BY seq", run.number)
        return _broken_at(run.run_id, rows)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _select(self, query: str, *values: int | str) -> Iterator[tuple]:  # type: ignore[type-arg] # columns of many types
        try:
            # `yield from` would close the cursor, and perhaps after its connection.
            for row in self._connection.execute(query, values):  # noqa: UP028
                yield row
        except (sqlite3.Error, UnicodeError) as problem:
            raise JournalError(self._unreadable(problem)) from problem

    def damage(self) -> str:
        """What is wrong with the file as a whole, which may hide records from those who look for a run's; empty for nothing.

        Reads all of it.
        """
        ((found,),) = self._select("PRAGMA integrity_check(1)")
        if found != "ok":
            return f"the file is damaged ({str(found).splitlines()[-1]})"
        lost = "SELECT count(*) FROM records NOT INDEXED WHERE run NOT IN (SELECT number FROM runs NOT INDEXED)"
        ((n_lost,),) = self._select(lost)
        return f"{n_lost} records belong to no run" if n_lost else ""

    def _unreadable(self, problem: Exception) -> str:
        if isinstance(problem, sqlite3.Error) and trouble_of(problem) == "held":
            return f"another program holds the file of journal {self._path} ({first_line(problem)}); close it, or wait for it."
        return f"{self._path} cannot be read as a journal ({first_line(problem)}); give the file that --journal named."


def _readable(path: Path, how: str) -> sqlite3.Connection:
    """Raises `sqlite3.Error` for a file that cannot be read this way."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _broken_at(run_id: str, records: Iterable[tuple[int, bytes, bytes]]) -> str:
    """What is wrong with (seq, content, link) of a whole run, in order of seq, in one sentence part; empty when nothing is."""
    expected, link = 0, first_link(run_id)
    for seq, content, kept in records:
        if seq != expected:
            return f"records {expected} to {seq - 1} are missing"
        link = next_link(link, content)
        if link != kept:
            return f"record {seq} is not what was written"
        expected += 1
    return "" if expected else "it has no record"
