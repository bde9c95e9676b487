"""A journal in memory: it outlives a disconnected controller, not the edge process."""

import threading
from collections import deque
from collections.abc import Callable

from edge.contracts.errors import StreamError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import FieldRecord, Record


class _Run:
    """One run's records: `kept[0]` has seq `first`."""

    def __init__(self) -> None:
        self.first = 0
        self.kept: deque[bytes] = deque()
        self.acknowledged = -1
        self.finished = False
        self.triggers: dict[str, TriggerCommand] = {}
        self.open: dict[str, TriggerCommand] = {}

    @property
    def next_seq(self) -> int:
        return self.first + len(self.kept)


class MemoryJournal:
    """Implements `Journal`. A record is kept until it is acknowledged; the newest `keep_acknowledged` of a run stay longer."""

    def __init__(self, keep_acknowledged: int = 1000) -> None:
        self._keep = keep_acknowledged
        self._runs: dict[str, _Run] = {}
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def trouble(self) -> str:
        """None can come."""
        return ""

    def next_seq(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.next_seq if run else 0

    def append(self, record: Record) -> None:
        content = record.model_dump_json().encode()
        with self._lock:
            run = self._runs.setdefault(record.run_id, _Run())
            if record.seq != run.next_seq or run.finished:
                state = "is finished" if run.finished else f"expects seq {run.next_seq}"
                raise ValueError(f"run {record.run_id} {state}; it cannot take a {record.type} with seq {record.seq}")
            run.kept.append(content)
            run.finished = record.type == "run_stop"
            if isinstance(record, FieldRecord):
                run.open.pop(record.trigger_id, None)
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        with self._lock:
            run = self._runs[command.run_id]
            if command.trigger_id in run.triggers:
                raise ValueError(f"run {command.run_id} has a trigger {command.trigger_id!r} already")
            run.triggers[command.trigger_id] = run.open[command.trigger_id] = command
        done()

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        with self._lock:
            run = self._runs.get(run_id)
            return run.triggers.get(trigger_id) if run else None

    def open_triggers(self, run_id: str) -> list[TriggerCommand]:
        with self._lock:
            run = self._runs.get(run_id)
            return list(run.open.values()) if run else []

    def n_announced(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return len(run.triggers) if run else 0

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None:
                return []
            if from_seq < run.first:
                raise StreamError(
                    f"records {from_seq} to {run.first - 1} of run {run_id} were acknowledged and are no longer held; "
                    f"resume from seq {run.first} or later."
                )
            start = from_seq - run.first
            return [(run.first + at, run.kept[at]) for at in range(start, min(start + limit, len(run.kept)))]

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or upto_seq >= run.next_seq:
                raise ValueError(f"run {run_id} has no record {upto_seq} to acknowledge")
            run.acknowledged = max(run.acknowledged, upto_seq)
            while run.acknowledged - run.first + 1 > self._keep:
                run.kept.popleft()
                run.first += 1

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
