"""A journal on disk: a record is committed before anyone can read it, and outlives the controller and this process.

Records are appended by the thread that counts and committed by a thread of this journal, several at a time when they come fast:
the counting never waits for the disk, and the stream is woken only by what is committed. Each record carries a hash over all
records of its run so far (`chain.py`).
"""

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Literal

from leukostream.edge.contracts.errors import JournalError, StreamError, first_line
from leukostream.edge.contracts.records import Record
from leukostream.edge.journal.chain import first_link, next_link
from leukostream.edge.journal.retention import Retention, forget
from leukostream.edge.journal.tables import SCHEMA, connect

Durability = Literal["full", "normal"]
"""full: every commit is synchronised to the disk before its records can be read; normal: the system does that when it likes, so
that a power cut may take the newest ones."""

_RUN_STOP = b'{"type":"run_stop"'
_BATCH_RECORDS = 64
_MAX_WAITING = 4096
_RESERVE_BYTES = 4 * 2**20
"""Given up when the disk is full, so that the run can still be ended and say why."""


@dataclass(slots=True)
class _Run:
    number: int
    next_seq: int = 0
    committed: int = 0
    """records that are on disk: those with a seq below this"""
    acknowledged: int = -1
    finished: bool = False
    link: bytes = b""


class SqliteJournal:
    """Implements `Journal` in the file `path`; one process at a time. Raises `JournalError` when it cannot be opened.

    `append` raises `JournalError` once records can no longer be committed; `trouble` says when the run should end.
    """

    def __init__(self, path: Path, durability: Durability = "full", retention: Retention | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._waiting: deque[tuple[_Run, int, bytes, bytes]] = deque()
        self._acknowledgements: dict[int, int] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._trouble, self._failure = "", ""
        self._closing = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._held = _hold(path)
            self._writer, self._reader = connect(path), connect(path)
            self._writer.executescript(SCHEMA)
            self._writer.execute(f"PRAGMA synchronous={durability}")
            _reserve(self._reserve_path)
            self.forgotten = forget(self._writer, retention, datetime.now(timezone.utc)) if retention else []
            """runs that were deleted on opening, as `retention` allows"""
            self._runs = self._load()
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

    def next_seq(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.next_seq if run else 0

    def append(self, record: Record) -> None:
        content = record.model_dump_json().encode()
        with self._news:
            self._news.wait_for(lambda: len(self._waiting) < _MAX_WAITING or self._failure)
            if self._failure:
                raise JournalError(self._failure)
            run = self._runs.get(record.run_id)
            if run is None:
                number = 1 + max((known.number for known in self._runs.values()), default=-1)
                run = self._runs[record.run_id] = _Run(number, link=first_link(record.run_id))
            if record.seq != run.next_seq or run.finished:
                state = "is finished" if run.finished else f"expects seq {run.next_seq}"
                raise ValueError(f"run {record.run_id} {state}; it cannot take a {record.type} with seq {record.seq}")
            run.link = next_link(run.link, content)
            run.next_seq += 1
            run.finished = record.type == "run_stop"
            self._waiting.append((run, record.seq, content, run.link))
            self._news.notify_all()

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return []
            upto = min(run.committed, from_seq + limit)
            try:
                rows = self._reader.execute(
                    "SELECT seq, content FROM records WHERE run = ? AND seq >= ? AND seq < ? ORDER BY seq",
                    (run.number, from_seq, upto),
                ).fetchall()
            except sqlite3.Error as problem:
                raise StreamError(f"journal {self._path} cannot be read ({first_line(problem)}); check its disk.") from problem
            if len(rows) != max(0, upto - from_seq):
                raise StreamError(
                    f"journal {self._path} lacks records of run {run_id}; check it with `leuko-edge runs verify`."
                )
            return rows

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        with self._news:
            run = self._runs.get(run_id)
            if run is None or upto_seq >= run.committed:
                raise ValueError(f"run {run_id} has no record {upto_seq} to acknowledge")
            if upto_seq > run.acknowledged:
                run.acknowledged = upto_seq
                self._acknowledgements[run.number] = upto_seq
                self._news.notify_all()

    def acknowledged(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.acknowledged if run else -1

    def runs(self) -> list[str]:
        with self._lock:
            return list(self._runs)

    def finished(self, run_id: str) -> bool:
        with self._lock:
            run = self._runs.get(run_id)
            return run is not None and run.finished

    def on_append(self, callback: Callable[[], None]) -> None:
        with self._lock:
            self._callbacks.append(callback)

    def close(self) -> None:
        """Commit what waits, then give the file to others. Safe to repeat."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._thread.join()
        for connection in (self._reader, self._writer):
            connection.close()
        self._held.close()

    @property
    def _reserve_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.reserve")

    def _load(self) -> dict[str, _Run]:
        rows = self._writer.execute(
            "SELECT name, number, acknowledged, "
            "(SELECT count(*) FROM records WHERE run = number), "
            "(SELECT link FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
            "(SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1) "
            "FROM runs ORDER BY number"
        )
        return {
            name: _Run(
                number, n_records, n_records, acknowledged, bool(last) and last.startswith(_RUN_STOP), link or first_link(name)
            )
            for name, number, acknowledged, n_records, link, last in rows
        }

    def _commit_all(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._acknowledgements or self._closing)
                batch = [self._waiting[k] for k in range(min(len(self._waiting), _BATCH_RECORDS))]
                acknowledgements, self._acknowledgements = self._acknowledgements, {}
                if not batch and not acknowledgements:
                    return
                names = {run.number: name for name, run in self._runs.items()}
            try:
                self._commit_or_make_room(batch, acknowledgements, names)
            except sqlite3.Error as problem:
                self._fail(problem)
                return
            with self._news:
                for run, seq, _, _ in batch:
                    self._waiting.popleft()
                    run.committed = seq + 1
                self._news.notify_all()
                callbacks = tuple(self._callbacks) if batch else ()
            for callback in callbacks:
                callback()

    def _commit_or_make_room(
        self, batch: list[tuple[_Run, int, bytes, bytes]], acknowledgements: dict[int, int], names: dict[int, str]
    ) -> None:
        try:
            self._commit(batch, acknowledgements, names)
        except sqlite3.OperationalError as problem:
            if not self._reserve_path.exists():
                raise
            self._reserve_path.unlink()
            self._trouble = (
                f"journal {self._path} has no room for more records ({first_line(problem)}); free space on its disk, then "
                "start a new run."
            )
            self._commit(batch, acknowledgements, names)

    def _commit(
        self, batch: list[tuple[_Run, int, bytes, bytes]], acknowledgements: dict[int, int], names: dict[int, str]
    ) -> None:
        with self._writer:  # one transaction: all of it or nothing
            self._writer.executemany(
                "INSERT OR IGNORE INTO runs (number, name) VALUES (?, ?)",
                [(run.number, names[run.number]) for run, seq, _, _ in batch if seq == 0],
            )
            self._writer.executemany(
                "INSERT INTO records (run, seq, content, link) VALUES (?, ?, ?, ?)",
                [(run.number, seq, content, link) for run, seq, content, link in batch],
            )
            self._writer.executemany(
                "UPDATE runs SET acknowledged = max(acknowledged, ?) WHERE number = ?",
                [(upto_seq, number) for number, upto_seq in acknowledgements.items()],
            )

    def _fail(self, problem: sqlite3.Error) -> None:
        with self._news:
            self._failure = (
                f"journal {self._path} can no longer be written ({first_line(problem)}), and the last {len(self._waiting)} "
                "records are not in it; check its disk, then start a new run."
            )
            self._news.notify_all()
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
