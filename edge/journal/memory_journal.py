"""A journal in memory: it outlives a disconnected controller, not the edge process."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.contracts.errors import StreamError
from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Record
from edge.journal.base import HeldRun, JournalBase


@dataclass(slots=True, kw_only=True)
class _RunInMemory(HeldRun):
    kept: deque[bytes] = field(default_factory=deque)
    """the newest records, up to the one before `next_seq`"""
    triggers: dict[str, TriggerCommand] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The seq of `kept[0]`."""
        return self.next_seq - len(self.kept)


class MemoryJournal(JournalBase[_RunInMemory]):
    """Implements `Journal`. A record is kept until it is acknowledged; the newest `keep_acknowledged` of a run stay longer."""

    def __init__(self, keep_acknowledged: int = 1000, boot_id: str | None = None) -> None:
        super().__init__(boot_id)
        self._keep = keep_acknowledged

    @property
    def trouble(self) -> str:
        """None can come."""
        return ""

    @property
    def failure(self) -> str:
        """Nor this."""
        return ""

    def append(self, record: Record) -> None:
        content = self._content(record)
        with self._lock:
            if record.run_id not in self._runs:
                self._forget_whole()
            run = self._runs.setdefault(record.run_id, _RunInMemory())
            run.enter(record)
            run.kept.append(content)
            callbacks = tuple(self._callbacks)
        for callback in callbacks:
            callback()

    def _forget_whole(self) -> None:
        """Memory is not for slides without end: of runs that a controller holds whole the newest stay, with as many records
        in all as one run may keep."""
        whole = [name for name, run in self._runs.items() if run.finished and run.acknowledged + 1 == run.next_seq]
        kept = sum(len(self._runs[name].kept) for name in whole)
        for name in whole:
            if kept <= self._keep:
                return
            kept -= len(self._runs.pop(name).kept)

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        with self._lock:
            run = self._runs[command.run_id]
            if command.trigger_id in run.triggers:
                raise ValueError(f"run {command.run_id} has a trigger {command.trigger_id!r} already")
            run.triggers[command.trigger_id] = run.open[command.trigger_id] = command
            run.n_announced += 1
        done()

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        with self._lock:
            run = self._runs.get(run_id)
            return run.triggers.get(trigger_id) if run else None

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

    def first_seq(self, run_id: str) -> int:
        with self._lock:
            run = self._runs.get(run_id)
            return run.first if run else 0

    def settle(self) -> None:
        """It has settled already."""

    def acknowledge(self, run_id: str, upto_seq: int) -> None:
        with self._lock:
            run = self._runs.get(run_id)
            if run is None or upto_seq >= run.next_seq:
                raise ValueError(f"run {run_id} has no record {upto_seq} to acknowledge")
            run.acknowledged = max(run.acknowledged, upto_seq)
            while run.acknowledged - run.first + 1 > self._keep:
                run.kept.popleft()
