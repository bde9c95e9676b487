"""Sums over everything this process has recorded, for the metrics page. They only grow, also from run to run."""

import threading
from bisect import bisect_left
from dataclasses import dataclass

from edge.contracts.records import FieldRecord, FieldStatus, StageTimes
from edge.counting import NON_WBC_LABELS, WBC_LABELS

BOUNDS_S = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Upper bounds, inclusive, of the histograms' buckets; one more bucket takes what is longer."""

WHOLE = "total"
_NAMES = {name.removesuffix("_ms"): name for name in StageTimes.model_fields}
STAGES = tuple(_NAMES)
"""Every stage in the order of `StageTimes`; `WHOLE`, the last, spans the others."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations by bucket (one per bound and one above, not cumulative) and their sum."""

    counts: tuple[int, ...]
    sum_s: float


@dataclass(frozen=True, slots=True)
class Totals:
    """One consistent view: the counts of one record are in all of them or in none."""

    fields: dict[FieldStatus, int]
    cells: dict[str, int]
    stages: dict[str, Histogram]


class Tally:
    """Added to by the thread that counts, read by others. Every status, label and stage is there from the start, at 0."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fields = dict.fromkeys(FieldStatus, 0)
        self._cells = dict.fromkeys(WBC_LABELS + NON_WBC_LABELS, 0)
        self._buckets = {stage: [0] * (len(BOUNDS_S) + 1) for stage in STAGES}
        self._sums_ms = dict.fromkeys(STAGES, 0.0)

    def add(self, record: FieldRecord) -> None:
        """Take in one field."""
        with self._lock:
            self._fields[record.status] += 1
            for label, count in record.counts.items() if record.counted else ():
                self._cells[label] = self._cells.get(label, 0) + count
            if record.times is not None:
                for stage, name in _NAMES.items():
                    ms: float = getattr(record.times, name)
                    self._buckets[stage][bisect_left(BOUNDS_S, ms / 1e3)] += 1
                    self._sums_ms[stage] += ms

    def totals(self) -> Totals:
        """The sums at this moment."""
        with self._lock:
            return Totals(
                dict(self._fields),
                dict(self._cells),
                {stage: Histogram(tuple(self._buckets[stage]), self._sums_ms[stage] / 1e3) for stage in STAGES},
            )
