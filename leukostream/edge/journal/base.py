"""The journal between the pipeline (writes) and the stream (reads): a record has its place here before it is sent."""

from collections.abc import Callable
from typing import Protocol

from leukostream.edge.contracts.records import Record


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
