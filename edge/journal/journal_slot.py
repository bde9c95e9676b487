"""The place of a journal that may be closed and opened again while a service goes on."""

import threading
from collections.abc import Callable

from edge.contracts.errors import JournalError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Record
from edge.journal.base import Journal


class JournalSlot:
    """Implements `Journal` by the one that is in it. While none is, there are no runs, nothing is taken, and `absent` says why.

    One thread puts, takes and appends; another may ask meanwhile, and is never answered by a journal that is being closed.
    """

    def __init__(self, absent: str) -> None:
        self._journal: Journal | None = None
        self._absent = absent
        self._asking = threading.RLock()
        self._append_callbacks: list[Callable[[], None]] = []
        self._held_callbacks: list[Callable[[str], None]] = []

    def put(self, journal: Journal) -> None:
        """Open for business; whoever wanted to be told of records is told of this one's."""
        with self._asking:
            for callback in self._append_callbacks:
                journal.on_append(callback)
            for held_callback in self._held_callbacks:
                journal.on_held(held_callback)
            self._journal = journal
        for callback in self._append_callbacks:
            callback()

    def take(self, absent: str) -> None:
        """The journal is about to be closed; `absent` says why there is none from now on."""
        with self._asking:
            self._journal, self._absent = None, absent

    @property
    def absent(self) -> str:
        return "" if self._journal is not None else self._absent

    @property
    def trouble(self) -> str:
        journal = self._journal
        return journal.trouble if journal is not None else self._absent

    @property
    def failure(self) -> str:
        journal = self._journal
        return journal.failure if journal is not None else self._absent

    def _open(self) -> Journal:
        """Raises `JournalError` while there is none."""
        if self._journal is None:
            raise JournalError(self._absent)
        return self._journal

    def append(self, record: Record) -> None:
        self._open().append(record)

    def settle(self) -> None:
        self._open().settle()

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        with self._asking:
            self._open().announce(command, done)

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        with self._asking:
            self._open().acknowledge(run_id, upto_seq)

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        with self._asking:
            return self._journal.announced(run_id, trigger_id) if self._journal is not None else None

    def open_triggers(self, run_id: str) -> list[TriggerCommand]:
        with self._asking:
            return self._journal.open_triggers(run_id) if self._journal is not None else []

    def n_announced(self, run_id: str) -> int:
        with self._asking:
            return self._journal.n_announced(run_id) if self._journal is not None else 0

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        with self._asking:
            return self._journal.read(run_id, from_seq, limit) if self._journal is not None else []

    def next_seq(self, run_id: str) -> int:
        with self._asking:
            return self._journal.next_seq(run_id) if self._journal is not None else 0

    def acknowledged(self, run_id: str) -> int:
        with self._asking:
            return self._journal.acknowledged(run_id) if self._journal is not None else -1

    def runs(self) -> list[str]:
        with self._asking:
            return self._journal.runs() if self._journal is not None else []

    def holds(self, run_id: str) -> bool:
        with self._asking:
            return self._journal is not None and self._journal.holds(run_id)

    def first_seq(self, run_id: str) -> int:
        with self._asking:
            return self._journal.first_seq(run_id) if self._journal is not None else 0

    def finished(self, run_id: str) -> bool:
        with self._asking:
            return self._journal is not None and self._journal.finished(run_id)

    def on_append(self, callback: Callable[[], None]) -> None:
        with self._asking:
            self._append_callbacks.append(callback)
            if self._journal is not None:
                self._journal.on_append(callback)

    def on_held(self, callback: Callable[[str], None]) -> None:
        with self._asking:
            self._held_callbacks.append(callback)
            if self._journal is not None:
                self._journal.on_held(callback)
