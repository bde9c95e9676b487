"""A journal on disk: a record is committed before anyone can read it, and outlives the controller and this process.

Records are appended by the thread that counts and committed by a thread of this journal, several at a time when they come fast:
the counting never waits for the disk, and the stream is woken only by what is committed. Each record carries a hash over all
records of its run so far (`tables.py`).
"""

import fcntl
import json
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

from edge.contracts.choices import Durability
from edge.contracts.errors import JournalError, StreamError, first_line
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Record
from edge.journal.base import JournalBase
from edge.journal.tables import SCHEMA, RunOnDisk, WaitingRecord, WaitingTrigger, connect, first_link, load, next_link, write

_BATCH_RECORDS = 64
_ACKNOWLEDGED_WITHIN_S = 0.05
_MAX_WAITING = 4096
_RESERVE_BYTES = 4 * 2**20
"""Given up when the disk is full, so that the run can still be ended and say why."""
_FORGETTABLE = (
    "SELECT number, name, (SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
    "(SELECT sum(length(content) + length(link)) FROM records WHERE run = number) FROM runs "
    "WHERE acknowledged = (SELECT max(seq) FROM records WHERE run = number) ORDER BY number"
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Acknowledged runs are kept for `keep_days`, and the newest of them while all records together are within `keep_mb`."""

    keep_days: float
    keep_mb: float


class SqliteJournal(JournalBase[RunOnDisk]):
    """Implements `Journal` in the file `path`; one process at a time. Raises `JournalError` when it cannot be opened.

    `append` raises `JournalError` once records can no longer be committed; `trouble` says when the run should end.
    """

    def __init__(self, path: Path, durability: Durability = "full", retention: Retention | None = None) -> None:
        super().__init__()
        self._path = path
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[WaitingRecord | WaitingTrigger] = deque()
        self._acknowledgements: dict[int, int] = {}
        self._trouble, self._failure = "", ""
        self._closing = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._held = _hold(path)
            self._writer, self._reader = connect(path), connect(path)
            self._writer.executescript(SCHEMA)
            self._writer.execute(f"PRAGMA synchronous={durability}")
            _reserve(self._reserve_path)
            self.forgotten = _forget(self._writer, retention, datetime.now(timezone.utc)) if retention else []
            """runs that were deleted on opening, as `retention` allows"""
            self._runs = load(self._writer)
        except (OSError, sqlite3.Error) as problem:
            raise JournalError(
                f"journal {path} cannot be opened ({first_line(problem)}); check the path given to --journal and its disk."
            ) from problem
        self._thread = threading.Thread(target=self._commit_all, name="leuko-journal", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why the run that writes should end, in one sentence; empty while all is well."""
        return self._failure or self._trouble

    def append(self, record: Record) -> None:
        content = record.model_dump_json().encode()
        with self._changed:
            self._await_room()
            run = self._runs.get(record.run_id)
            if run is None:
                number = 1 + max((known.number for known in self._runs.values()), default=-1)
                link = first_link(record.run_id)
                run = self._runs[record.run_id] = RunOnDisk(number=number, name=record.run_id, link=link)
            ended = run.enter(record)
            run.link = next_link(run.link, content)
            self._waiting.append(WaitingRecord(run, record.seq, content, run.link, ended.trigger_id if ended else None))
            self._changed.notify_all()

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        if self.announced(command.run_id, command.trigger_id) is not None:
            raise ValueError(f"run {command.run_id} has a trigger {command.trigger_id!r} already")
        with self._changed:
            self._await_room()
            run = self._runs[command.run_id]
            run.open[command.trigger_id] = command
            self._waiting.append(WaitingTrigger(run, run.n_announced, command, done))
            run.n_announced += 1
            self._changed.notify_all()

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return None
            if trigger_id in run.open:
                return run.open[trigger_id]
            row = self._select("SELECT command FROM triggers WHERE run = ? AND name = ?", (run.number, trigger_id))
            return TriggerCommand.model_validate_json(row[0][0]) if row else None

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return []
            upto = min(run.committed, from_seq + limit)
            oldest = run.committed - len(run.newest)
            if from_seq >= oldest:
                return [(seq, run.newest[seq - oldest]) for seq in range(from_seq, upto)]
            rows = self._select(
                "SELECT seq, content FROM records WHERE run = ? AND seq >= ? AND seq < ? ORDER BY seq",
                (run.number, from_seq, upto),
            )
            if len(rows) != max(0, upto - from_seq):
                raise StreamError(
                    f"journal {self._path} lacks records of run {run_id}; check it with `leuko-edge runs verify`."
                )
            return rows

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        with self._changed:
            run = self._runs.get(run_id)
            if run is None or upto_seq >= run.committed:
                raise ValueError(f"run {run_id} has no record {upto_seq} to acknowledge")
            if upto_seq > run.acknowledged:
                run.acknowledged = upto_seq
                self._acknowledgements[run.number] = upto_seq
                self._changed.notify_all()

    def close(self) -> None:
        """Commit what waits, then give the file to others. Safe to repeat."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        for connection in (self._reader, self._writer):
            connection.close()
        self._held.close()

    @property
    def _reserve_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.reserve")

    def _await_room(self) -> None:
        self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING or self._failure)
        if self._failure:
            raise JournalError(self._failure)

    def _select(self, query: str, values: tuple[int | str, ...]) -> list[Any]:
        try:
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as problem:
            raise StreamError(f"journal {self._path} cannot be read ({first_line(problem)}); check its disk.") from problem

    def _commit_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._acknowledgements or self._closing)
                # An acknowledgement rides with the next records: losing one costs nothing but sending again.
                self._changed.wait_for(lambda: self._waiting or self._closing, _ACKNOWLEDGED_WITHIN_S)
                batch = [self._waiting[k] for k in range(min(len(self._waiting), _BATCH_RECORDS))]
                acknowledgements, self._acknowledgements = self._acknowledgements, {}
                if not batch and not acknowledgements:
                    return
            try:
                self._write_or_make_room(batch, acknowledgements)
            except sqlite3.Error as problem:
                self._fail(problem)
                return
            with self._changed:
                for each in batch:
                    self._waiting.popleft()
                    if isinstance(each, WaitingRecord):
                        each.run.committed = each.seq + 1
                        each.run.newest.append(each.content)
                self._changed.notify_all()
                callbacks = tuple(self._callbacks) if batch else ()
            for each in batch:
                if isinstance(each, WaitingTrigger):
                    each.done()
            for callback in callbacks:
                callback()

    def _write_or_make_room(self, batch: list[WaitingRecord | WaitingTrigger], acknowledgements: dict[int, int]) -> None:
        try:
            write(self._writer, batch, acknowledgements)
        except sqlite3.OperationalError as problem:
            if not self._reserve_path.exists():
                raise
            self._reserve_path.unlink()
            self._trouble = (
                f"journal {self._path} has no room for more records ({first_line(problem)}); free space on its disk, then "
                "start a new run."
            )
            write(self._writer, batch, acknowledgements)

    def _fail(self, problem: sqlite3.Error) -> None:
        with self._changed:
            self._failure = (
                f"journal {self._path} can no longer be written ({first_line(problem)}), and the last {len(self._waiting)} "
                "records are not in it; check its disk, then start a new run."
            )
            self._changed.notify_all()
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()


def _hold(path: Path) -> IO[bytes]:
    """Keep other processes out for as long as the returned file is open, however this process ends."""
    held = path.with_name(f"{path.name}.lock").open("wb")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        held.close()
        raise JournalError(
            f"journal {path} is in use by another edge process; stop that one, or give this one a journal of its own."
        ) from problem
    return held


def _reserve(path: Path) -> None:
    if not path.exists():
        with path.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, _RESERVE_BYTES)


def _forget(connection: sqlite3.Connection, retention: Retention, now: datetime) -> list[str]:
    """Delete what may be forgotten, oldest first; returns the ids. What is open or not acknowledged stays, however old."""
    (stored,) = connection.execute("SELECT coalesce(sum(length(content) + length(link)), 0) FROM records").fetchone()
    forgotten = []
    with connection:
        for number, name, last, size in connection.execute(_FORGETTABLE).fetchall():
            end = json.loads(last)
            age_days = (now - datetime.fromisoformat(end["wall_time"])).total_seconds() / 86400
            if end["type"] != "run_stop" or (age_days <= retention.keep_days and stored <= retention.keep_mb * 1e6):
                continue
            connection.execute("DELETE FROM records WHERE run = ?", (number,))
            connection.execute("DELETE FROM triggers WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            stored -= size
            forgotten.append(name)
    return forgotten
