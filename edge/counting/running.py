"""Sums over the fields of a run."""

from collections import Counter
from collections.abc import Mapping

from edge.contracts.records import Differential
from edge.counting.counts import NON_WBC_LABELS, WBC_LABELS, differential, wbc_total

_LABELS = frozenset(WBC_LABELS + NON_WBC_LABELS)


class RunningCounts:
    """Cells per label so far. Only fields that are counted are added; a failed field adds nothing, not even zeros."""

    def __init__(self) -> None:
        self._cells: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Add one field's counts per label. Raises ValueError for a label that no cell can have, or a negative count."""
        for label, count in counts.items():
            if label not in _LABELS or count < 0:
                raise ValueError(f"{count} cells of {label!r} cannot be counted; the labels are {sorted(_LABELS)}")
        self._cells.update(counts)

    @property
    def cells(self) -> dict[str, int]:
        """Cells per label; labels without a cell are left out."""
        return {label: count for label, count in self._cells.items() if count}

    @property
    def wbc_total(self) -> int:
        return wbc_total(self._cells)

    def differential(self) -> Differential:
        """The differential of everything added so far."""
        return differential(self._cells)
