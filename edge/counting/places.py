"""Places on the slide: a field that was imaged anew takes the place of the one that its TRIGGER named.

Both stay on record and in the sums of the run. Beside them stand the net sums, in which every place is counted once: as the
field that holds it. A field takes a place only when it was counted; until then, and if it is lost, the former field holds it.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edge.contracts.messages import RejectedCode
from edge.contracts.records import FieldStatus, NetResult, NetSums
from edge.counting.counts import differential, wbc_total


@dataclass(frozen=True, slots=True)
class Unreplaceable:
    """Why a trigger cannot be replaced: the code of the REJECTED, and a sentence."""

    code: RejectedCode
    reason: str


@dataclass(frozen=True, slots=True)
class _End:
    """How a field ended; `counts` is None when it was not counted."""

    status: FieldStatus
    counts: tuple[tuple[str, int], ...] | None


class Places:
    """Who holds which place in one run. Safe for the stream's thread (`claim`, `withdraw`) and the one that counts (`ended`).

    Memory grows with the triggers of the run, by a status and a few counts each: any of them may be named later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[str, _End] = {}
        self._claims: dict[str, str] = {}
        """trigger that is to replace another one -> the one that it named"""
        self._claimed: dict[str, str] = {}
        """trigger that was named -> the open or counted one that named it"""
        self._used = False
        self._replaced = 0
        self._fields: Counter[FieldStatus] = Counter()
        self._cells: Counter[str] = Counter()

    def claim(self, trigger_id: str, replaces: str, is_open: bool) -> Unreplaceable | None:
        """`trigger_id` is announced to take the place of `replaces`, which `is_open` or not; why it cannot, or None."""
        with self._lock:
            end, other = self._ends.get(replaces), self._claimed.get(replaces)
            if end is None and replaces == trigger_id:
                reason = f"trigger {trigger_id!r} names itself as the one that it replaces; name one that has its field."
                return Unreplaceable("unknown_trigger", reason)
            if end is None and is_open:
                reason = f"trigger {replaces!r} has not ended and cannot be replaced yet; wait for its field."
                return Unreplaceable("not_finished", reason)
            if end is None:
                reason = f"this run has no trigger {replaces!r} that could be replaced; name one that was accepted in it."
                return Unreplaceable("unknown_trigger", reason)
            if other is not None:
                reason = f"trigger {replaces!r} is replaced by {other!r} already; name that one once its field has come."
                return Unreplaceable("already_replaced", reason)
            if replaces in self._claims and end.counts is None:
                holder = self._claims[replaces]
                reason = (
                    f"trigger {replaces!r} ended as {end.status.value} and has not taken the place of {holder!r}; name "
                    f"{holder!r}, which holds it still."
                )
                return Unreplaceable("not_counted", reason)
            self._claims[trigger_id] = replaces
            self._claimed[replaces] = trigger_id
            return None

    def withdraw(self, trigger_id: str) -> None:
        """The announcement was refused: what it named may be named by another one."""
        with self._lock:
            if (replaces := self._claims.pop(trigger_id, None)) is not None:
                del self._claimed[replaces]

    def claimed_by(self, trigger_id: str) -> str | None:
        """The trigger whose place this one was announced for."""
        return self._claims.get(trigger_id)

    def ended(self, trigger_id: str, status: FieldStatus, counts: Mapping[str, int] | None) -> None:
        """A trigger has its field, with its cells per label, or None when it was not counted."""
        with self._lock:
            self._ends[trigger_id] = _End(status, None if counts is None else tuple(counts.items()))
            replaces = self._claims.get(trigger_id)
            if replaces is not None:
                self._used = True
                if counts is None:
                    del self._claimed[replaces]
                    return
                former = self._ends[replaces]
                self._replaced += 1
                self._fields[former.status] -= 1
                self._cells.subtract(dict(former.counts or ()))
            self._fields[status] += 1
            self._cells.update(counts or {})

    @property
    def net(self) -> NetSums | None:
        """The net sums so far, None while no field that was to replace another one has ended."""
        with self._lock:
            if not self._used:
                return None
            return NetSums(
                replaced=self._replaced,
                fields=self._net_fields(),
                cells=self._net_cells(),
                wbc_total=wbc_total(self._cells),
            )

    def result(self) -> NetResult | None:
        """As `net`, at the end of the run."""
        with self._lock:
            if not self._used:
                return None
            return NetResult(
                replaced=self._replaced,
                fields=self._net_fields(),
                cells=self._net_cells(),
                differential=differential(self._net_cells()),
            )

    def _net_fields(self) -> dict[FieldStatus, int]:
        return {status: self._fields[status] for status in FieldStatus if self._fields[status]}

    def _net_cells(self) -> dict[str, int]:
        return {label: count for label, count in self._cells.items() if count}
