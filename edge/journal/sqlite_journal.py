"""A journal on disk: a record is committed before anyone can read it, and outlives the controller and this process.

Records are appended by the thread that counts and committed by a thread of this journal, several at a time when they come fast:
the counting never waits for the disk, and the stream is woken only by what is committed. Each record carries a hash over all
records of its run so far (`tables.py`).
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge.contracts.choices import Durability
from edge.contracts.errors import JournalError, StreamError, first_line
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Record
from edge.journal.base import JournalBase
from edge.journal.journal_file import (
    close_marked,
    hold,
    identity_of,
    lacking,
    lacks_log,
    lacks_nothing,
    log_of,
    make_reserve,
    mark_open,
    reserve_of,
    trouble_of,
)
from edge.journal.retention import Forgotten, Retention, forget
from edge.journal.stale_log import stale_log
from edge.journal.tables import (
    RunOnDisk,
    WaitingRecord,
    WaitingTrigger,
    connect,
    first_link,
    is_foreign,
    load,
    make_tables,
    next_link,
    write,
)

_BATCH_RECORDS = 64
_ACKNOWLEDGED_WITHIN_S = 1.0
"""An acknowledgement waits so long for a record to go to disk with: alone it would cost a sync of its own, for which the next
record would have to wait, that of a run's first field above all."""
_MAX_WAITING = 4096
_NOTICED_S = 1.0
"""Another program that holds the file for longer is spoken of."""
PATIENCE_S = 60.0

_log = logging.getLogger(__name__)


class SqliteJournal(JournalBase[RunOnDisk]):
    """Implements `Journal` in the file `path`; one process at a time. Raises `JournalError` when it cannot be opened.

    `append` raises `JournalError` once records can no longer be committed; `trouble` says when the run should end.
    """

    def __init__(
        self,
        path: Path,
        durability: Durability = "full",
        retention: Retention | None = None,
        patience_s: float = PATIENCE_S,
        boot_id: str | None = None,
    ) -> None:
        super().__init__(boot_id)
        self._path = path
        self._patience_s = patience_s
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[WaitingRecord | WaitingTrigger] = deque()
        self._acknowledgements: dict[int, int] = {}
        self._trouble, self._failure = "", ""
        self._closing = False
        self.forgotten = Forgotten()
        """what was deleted on opening, as `retention` allows"""
        self.warning = ""
        """what is wrong with the file although it can be used; empty when nothing is"""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._held = hold(path)
            with contextlib.ExitStack() as undo:
                undo.callback(self._held.close)
                lacks = lacks_log(path)
                if stale := stale_log(path):
                    raise JournalError(f"{stale}.")
                if not lacks:
                    undo.callback(lacks_nothing, path)  # closed by what follows, its log is gone though all is in the file
                self._writer, self._reader = connect(path), connect(path)
                undo.callback(self._writer.close)
                undo.callback(self._reader.close)
                self._open(durability, retention, lacks=lacks)
                undo.pop_all()
        except (OSError, sqlite3.Error) as problem:
            raise JournalError(_cannot_be_opened(path, problem)) from problem
        self._thread = threading.Thread(target=self._commit_all, name="leuko-journal", daemon=True)
        self._thread.start()

    def _open(self, durability: Durability, retention: Retention | None, *, lacks: bool) -> None:
        if is_foreign(self._writer):
            raise JournalError(
                f"{self._path} is the database of another program and no journal; nothing was changed in it: give another file "
                "with --journal."
            )
        make_tables(self._writer)
        self._writer.execute(f"PRAGMA synchronous={durability}")
        self._runs = load(self._writer)
        if lacks and not all(run.finished for run in self._runs.values()):
            # What its controller holds would get other records under the same numbers.
            raise JournalError(
                f"{lacking(self._path)}; put that file back, or give another one with --journal (`leuko-edge runs` reads what "
                "this one has)."
            )
        self.warning = f"{lacking(self._path)}; its runs can still be read" if lacks else ""
        mark_open(self._writer)
        make_reserve(self._path)
        if retention:
            self.forgotten = forget(self._writer, retention, datetime.now(timezone.utc))
            for run_id in self.forgotten.run_ids:
                del self._runs[run_id]
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # `stale_log` must not miss what was deleted
        self._writer.execute(f"PRAGMA busy_timeout={int(_NOTICED_S * 1000)}")
        self._files = {each: identity_of(each) for each in (self._path, log_of(self._path))}

    @property
    def trouble(self) -> str:
        """Why the run that writes should end, in one sentence; empty while all is well."""
        return self._failure or self._trouble

    @property
    def failure(self) -> str:
        return self._failure

    def append(self, record: Record) -> None:
        content = self._content(record)
        with self._changed:
            self._await_room()
            run = self._runs.get(record.run_id)
            if run is None:
                for former in self._runs.values():
                    if former.finished:
                        former.newest.clear()  # whoever still reads it finds it in the file
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

    def settle(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._failure)
            self._failure = self._failure or self._replaced()
            if self._failure:
                raise JournalError(self._failure)

    def close(self) -> None:
        """Commit what waits, then give the file to others. Safe to repeat."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        if not self._held.closed:
            self._reader.close()
            close_marked(self._writer, self._path)
            self._held.close()

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
                self._write_patiently(batch, acknowledgements)
            except Exception as problem:  # noqa: BLE001 a thread that dies silently would hang the run
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

    def _write_patiently(self, batch: list[WaitingRecord | WaitingTrigger], acknowledgements: dict[int, int]) -> None:
        """Write, waiting for a program that holds the file, and with the reserve given up when the disk is full."""
        held_since_s = 0.0
        while True:
            try:
                write(self._writer, batch, acknowledgements)
                if gone := self._replaced():
                    raise JournalError(gone)
            except sqlite3.OperationalError as problem:
                trouble = trouble_of(problem, self._path)
                if trouble == "held" and not held_since_s:
                    held_since_s = time.monotonic() - _NOTICED_S
                    self._tell_held()
                if trouble == "held" and time.monotonic() - held_since_s < self._patience_s:
                    continue
                if trouble != "full" or not reserve_of(self._path).exists():
                    raise
                reserve_of(self._path).unlink()
                self._trouble = (
                    f"journal {self._path} has no room for more records ({first_line(problem)}); free space on its disk, then "
                    "start a new run."
                )
                continue
            if held_since_s:
                _log.warning("the journal's file is free again, after %.0f s", time.monotonic() - held_since_s)
            return

    def _replaced(self) -> str:
        """What to say when the file was taken away under SQLite, which goes on writing to it; empty while it is there."""
        gone = [each for each, identity in self._files.items() if identity_of(each) != identity]
        if not gone:
            return ""
        return (
            f"{gone[0]} was removed or replaced while the edge wrote it, and records of this run are not there; let nothing "
            "tidy up the journal's folder, then start a new run."
        )

    def _tell_held(self) -> None:
        sentence = (
            f"another program holds the file of journal {self._path}: records wait for it, up to {self._patience_s:g} s; close "
            "that program."
        )
        _log.warning("%s", sentence)
        with self._lock:
            callbacks = tuple(self._held_callbacks)
        for callback in callbacks:
            callback(sentence)

    def _fail(self, problem: Exception) -> None:
        _log.debug("where the journal failed", exc_info=problem)
        with self._changed:
            n_records = sum(isinstance(each, WaitingRecord) for each in self._waiting)
            why, remedy = first_line(problem), "check its disk"
            if isinstance(problem, sqlite3.Error) and trouble_of(problem) == "held":
                why, remedy = f"another program has held its file for {self._patience_s:g} s", "close that program"
            self._failure = (
                str(problem)
                if isinstance(problem, JournalError)
                else (
                    f"journal {self._path} can no longer be written ({why}), and the last {n_records} records are not in it; "
                    f"{remedy}, then start a new run."
                )
            )
            self._changed.notify_all()
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()


def _cannot_be_opened(path: Path, problem: Exception) -> str:
    if isinstance(problem, sqlite3.Error) and trouble_of(problem) == "held":
        return (
            f"journal {path} cannot be opened: another program holds its file ({first_line(problem)}); close that program, "
            "such as a viewer or a backup."
        )
    return f"journal {path} cannot be opened ({first_line(problem)}); check the path given to --journal and its disk."
