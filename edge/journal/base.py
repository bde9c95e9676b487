"""The journal between the pipeline (writes) and the stream (reads): a record has its place here before it is sent."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from edge.contracts.messages import TriggerCommand
from edge.contracts.records import FieldRecord, Record


class Journal(Protocol):
    """Records of runs in order of seq. Implementations are safe for one writing and one reading thread."""

    @property
    def absent(self) -> str:
        """Why nobody can tell which runs there are, in one sentence; empty while the journal is open."""
        ...

    @property
    def trouble(self) -> str:
        """Why the run that writes should end, in one sentence; empty while all is well."""
        ...

    @property
    def failure(self) -> str:
        """Why nothing can be stored any more, in one sentence; empty while it can, with or without trouble."""
        ...

    def next_seq(self, run_id: str) -> int:
        """The seq the next record of this run must carry; 0 for an unknown run."""
        ...

    def append(self, record: Record) -> None:
        """Store a record. Raises ValueError when its seq is not `next_seq`: a gap is a defect, never papered over; and
        `JournalError` when records can no longer be stored."""
        ...

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        """Store a trigger; `done` is called, perhaps by another thread, once it outlives what the journal outlives.

        It is open until a field with its id is appended. The run must have a record. `done` is never called when the journal
        fails before that. Raises `JournalError` as `append` does, and ValueError for an id that the run has already.
        """
        ...

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        """The command that announced a trigger, open or ended; None when there was none."""
        ...

    def open_triggers(self, run_id: str) -> list[TriggerCommand]:
        """Announced triggers without a field on record, in the order of their announcement."""
        ...

    def n_announced(self, run_id: str) -> int:
        """How many triggers of the run were announced."""
        ...

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` (seq, JSON bytes) from `from_seq` on; empty for an unknown run.

        Raises `StreamError` when `from_seq` was acknowledged and is no longer held.
        """
        ...

    def settle(self) -> None:
        """Wait until whatever was appended outlives what the journal outlives. Raises `JournalError` when it never will."""
        ...

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        """Cumulative: the controller holds everything up to and including `upto_seq`; an older value changes nothing.

        Raises ValueError when the run has no such record.
        """
        ...

    def acknowledged(self, run_id: str) -> int:
        """Highest acknowledged seq, -1 when none."""
        ...

    def runs(self) -> list[str]:
        """Run ids, oldest first."""
        ...

    def holds(self, run_id: str) -> bool:
        """Whether it is one of `runs`."""
        ...

    def first_seq(self, run_id: str) -> int:
        """The first record of the run that is still held; 0 for an unknown run."""
        ...

    def finished(self, run_id: str) -> bool:
        """Whether the run's `run_stop` has been appended."""
        ...

    def on_append(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever there is more to read, always in the same thread and without a lock held.

        So the callback may own a socket that it opens at its first call.
        """
        ...

    def on_held(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with a sentence when records begin to wait for another program, in a thread of the journal's own."""
        ...


@dataclass(slots=True, kw_only=True)
class HeldRun:
    """A run as a journal knows it, with every record that was appended so far."""

    next_seq: int = 0
    acknowledged: int = -1
    finished: bool = False
    n_announced: int = 0
    open: dict[str, TriggerCommand] = field(default_factory=dict)
    """announced triggers whose field was not appended yet, in the order of their announcement"""

    def enter(self, record: Record) -> TriggerCommand | None:
        """Count `record` in; returns the announced trigger that ends with it. Raises ValueError when another one is due."""
        if record.seq != self.next_seq or self.finished:
            state = "is finished" if self.finished else f"expects seq {self.next_seq}"
            raise ValueError(f"run {record.run_id} {state}; it cannot take a {record.type} with seq {record.seq}")
        self.next_seq += 1
        self.finished = record.type == "run_stop"
        return self.open.pop(record.trigger_id, None) if isinstance(record, FieldRecord) else None


_Run = TypeVar("_Run", bound=HeldRun)


class JournalBase(Generic[_Run]):
    """What every journal answers from memory: the runs it holds, by id and oldest first, under one lock.

    `boot_id` is put into every record that is appended. A process gives a seq of a run once, so the two together name one
    record among all that any copy of this journal may ever hold: a journal that went back in time is known by it.
    """

    absent = ""

    def __init__(self, boot_id: str | None = None) -> None:
        self._boot_id = boot_id
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._held_callbacks: list[Callable[[str], None]] = []

    def _content(self, record: Record) -> bytes:
        """The record as it is kept and sent."""
        signed = record if self._boot_id is None else record.model_copy(update={"boot_id": self._boot_id})
        return signed.model_dump_json().encode()

    def holds(self, run_id: str) -> bool:
        with self._lock:
            return run_id in self._runs

    def first_seq(self, run_id: str) -> int:
        """Every record is kept while its run is."""
        return 0

    def next_seq(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.next_seq if run else 0

    def open_triggers(self, run_id: str) -> list[TriggerCommand]:
        with self._lock:
            run = self._runs.get(run_id)
            return list(run.open.values()) if run else []

    def n_announced(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.n_announced if run else 0

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

    def on_held(self, callback: Callable[[str], None]) -> None:
        with self._lock:
            self._held_callbacks.append(callback)
