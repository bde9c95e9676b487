"""The journal between the pipeline (writes) and the stream (reads): a record has its place here before it is sent."""

from collections.abc import Callable
from typing import Protocol

from edge.contracts.messages import TriggerCommand
from edge.contracts.records import Record


class Journal(Protocol):
    """Records of runs in order of seq. Implementations are safe for one writing and one reading thread."""

    @property
    def trouble(self) -> str:
        """Why the run that writes should end, in one sentence; empty while all is well."""
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

    def finished(self, run_id: str) -> bool:
        """Whether the run's `run_stop` has been appended."""
        ...

    def on_append(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever there is more to read, always in the same thread and without a lock held.

        So the callback may own a socket that it opens at its first call.
        """
        ...
