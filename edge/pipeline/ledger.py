"""The account of triggers: each ends in exactly one terminal status, and the sums say so."""

import threading
from collections import Counter

from edge.contracts.records import FieldStatus


class LedgerRefusal(ValueError):
    """The ledger does not take this trigger in, and nothing has changed: it came twice or late, or the run is closing."""


class Ledger:
    """Triggers issued, open and ended. Safe for the grabbing thread (issues), the loop (closes) and a third that looks.

    Memory is bounded by the open triggers: an ended one leaves only its count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, tuple[int, tuple[int, int] | None]] = {}
        self._news: list[tuple[int, tuple[int, int] | None]] = []
        self._issued = 0
        self._last_index = -1
        self._sealed = False
        self._ended: Counter[FieldStatus] = Counter()

    def issue(self, trigger_id: str, field_index: int, stage_nm: tuple[int, int] | None = None) -> None:
        """Enter a trigger, with where the stage is for it.

        Raises `LedgerRefusal` for a repeated or late one (field indices only rise) and once sealed: what was not entered has no
        end, so that whoever announced it must hear of it.
        """
        with self._lock:
            if self._sealed:
                raise LedgerRefusal(f"trigger {trigger_id!r} (field {field_index}) came when the run had closed its account")
            if trigger_id in self._open or field_index <= self._last_index:
                raise LedgerRefusal(
                    f"trigger {trigger_id!r} (field {field_index}) came twice, or after field {self._last_index}"
                )
            self._open[trigger_id] = (field_index, stage_nm)
            self._news.append((field_index, stage_nm))
            self._issued += 1
            self._last_index = field_index

    def close(self, trigger_id: str, status: FieldStatus) -> None:
        """End an open trigger. Raises ValueError when it is not open: ending one twice would falsify the sums."""
        with self._lock:
            if trigger_id not in self._open:
                raise ValueError(f"trigger {trigger_id!r} is not open and cannot end as {status.value}")
            del self._open[trigger_id]
            self._ended[status] += 1

    def seal(self) -> None:
        """Enter no more triggers: the run is closing its account."""
        with self._lock:
            self._sealed = True

    def news(self) -> list[tuple[int, tuple[int, int] | None]]:
        """Field index and position on the stage of every trigger that was entered since the last call."""
        with self._lock:
            news, self._news = self._news, []
            return news

    def left(self) -> list[tuple[str, int, tuple[int, int] | None]]:
        """Open triggers, their field indices and positions on the stage, in the order in which they were entered."""
        with self._lock:
            return [(trigger_id, index, stage_nm) for trigger_id, (index, stage_nm) in self._open.items()]

    @property
    def issued(self) -> int:
        with self._lock:
            return self._issued

    @property
    def open(self) -> int:
        with self._lock:
            return len(self._open)

    def stage_nm(self, trigger_id: str) -> tuple[int, int] | None:
        """Where the stage is for an open trigger; None where nobody has said, and for one that is not open."""
        with self._lock:
            return self._open.get(trigger_id, (0, None))[1]

    def is_open(self, trigger_id: str) -> bool:
        with self._lock:
            return trigger_id in self._open

    def ended(self, and_one: FieldStatus | None = None) -> dict[FieldStatus, int]:
        """Triggers per terminal status, in the order of `FieldStatus`; only those that occurred. `and_one` is counted in."""
        with self._lock:
            ended = self._ended
            return {status: n for status in FieldStatus if (n := ended[status] + (status is and_one))}

    def sums_match(self) -> bool:
        """Whether every trigger issued has ended, exactly once."""
        with self._lock:
            return not self._open and self._issued == self._ended.total()
