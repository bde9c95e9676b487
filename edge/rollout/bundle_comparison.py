"""What two bundles find on the same fields, cell by cell and in sums, and whether the sums agree within binomial limits.

Two limits, both exact (Clopper-Pearson, 95 %): the new share of each class must lie within the limits of the current one, and
the leukocytes of both must be as many as two equal counts could be (the limits of the current one's part of all hold a half).
Both are of the same cells, so that what lies outside is no chance of the fields.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edge.contracts.base import Count, Strict
from edge.contracts.records import Detection, FieldRecord
from edge.counting import RunningCounts, clopper_pearson
from edge.engine.base import EngineInfo
from edge.postprocess import Findings
from edge.rollout.cells_matched import match_cells
from edge.settings import Setup

LEAST_LEUKOCYTES = 100
"""Of fewer the limits are so wide that hardly anything lies outside of them."""
Verdict = Literal["within", "outside", "undecided"]


class SideFigures(Strict):
    """One of the two. Times are of one field at a time, from its pixels to its cells, in the process that compared."""

    name: str
    bundle_id: str
    path: str
    engine: str
    engine_key: str | None
    parity: str
    thresholds_from: str
    warnings: tuple[str, ...]
    cells: Count
    leukocytes: Count
    overflows: Count
    median_ms: float | None
    p95_ms: float | None


class LabelRow(Strict):
    """Cells of one label; shares and the current one's limits are of all leukocytes, null for what is none."""

    label: str
    current: Count
    new: Count
    current_percent: float | None = None
    low_percent: float | None = None
    high_percent: float | None = None
    new_percent: float | None = None
    within: bool | None = None


class LabelChange(Strict):
    """So many cells that both found have another label now."""

    was: str
    now: str
    cells: Count


class Comparison(Strict):
    """What was compared, and what came out."""

    current: SideFigures
    new: SideFigures
    fields: Count
    left_out: dict[str, Count]
    """why fields were not compared, and how many"""
    fields_that_differ: Count
    """whose counts by label differ"""
    fields_recorded: Count
    recorded_otherwise: Count
    """of those: whose record has other counts than the current bundle gives here"""
    matched: Count
    only_current: Count
    only_new: Count
    relabelled: Count
    label_changes: tuple[LabelChange, ...]
    median_iou: float | None
    rows: tuple[LabelRow, ...]
    verdict: Verdict
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Sums:
    counts: RunningCounts = field(default_factory=RunningCounts)
    overflows: int = 0
    times_ms: list[float] = field(default_factory=list)

    def add(self, found: Findings, took_ms: float | None) -> None:
        self.counts.add(found.counts)
        self.overflows += found.overflow
        if took_ms is not None:
            self.times_ms.append(took_ms)


class Comparing:
    """Takes field after field."""

    def __init__(self) -> None:
        self.fields = 0
        self._current, self._new = _Sums(), _Sums()
        self._left_out: Counter[str] = Counter()
        self._changes: Counter[tuple[str, str]] = Counter()
        self._ious: list[float] = []
        self._only = [0, 0]
        self._differ = self._recorded = self._otherwise = 0

    def leave_out(self, why: str) -> None:
        self._left_out[why] += 1

    def add(
        self, current: tuple[Findings, float | None], new: tuple[Findings, float | None], record: FieldRecord | None
    ) -> None:
        """One field's findings with the milliseconds they took; None where these say nothing, as of a first field."""
        self.fields += 1
        self._current.add(*current)
        self._new.add(*new)
        was, now = current[0], new[0]
        self._differ += was.counts != now.counts
        if record is not None:
            self._recorded += 1
            self._otherwise += record.counts != was.counts
        self._match(was.detections, now.detections)

    def _match(self, was: Sequence[Detection], now: Sequence[Detection]) -> None:
        matched = match_cells(was, now)
        self._ious += matched.ious
        self._only[0] += len(matched.only_first)
        self._only[1] += len(matched.only_second)
        self._changes.update((was[a].label, now[b].label) for a, b in matched.pairs if was[a].label != now[b].label)

    def result(self, current: tuple[Setup, EngineInfo], new: tuple[Setup, EngineInfo]) -> Comparison:
        rows = self._rows()
        verdict, reasons = self._judged(rows)
        changes = sorted(self._changes.items(), key=lambda each: (-each[1], each[0]))
        return Comparison(
            current=_figures(*current, self._current),
            new=_figures(*new, self._new),
            fields=self.fields,
            left_out=dict(self._left_out),
            fields_that_differ=self._differ,
            fields_recorded=self._recorded,
            recorded_otherwise=self._otherwise,
            matched=len(self._ious),
            only_current=self._only[0],
            only_new=self._only[1],
            relabelled=sum(self._changes.values()),
            label_changes=tuple(LabelChange(was=was, now=now, cells=cells) for (was, now), cells in changes),
            median_iou=round(float(np.median(self._ious)), 4) if self._ious else None,
            rows=tuple(rows),
            verdict=verdict,
            reasons=tuple(reasons),
        )

    def _rows(self) -> list[LabelRow]:
        was, now = self._current.counts.differential(), self._new.counts.differential()
        shares = {row.label: row.percent for row in now.rows}
        cells, new_cells = self._current.counts.cells, self._new.counts.cells
        rows = []
        for row in was.rows:
            if not (row.count or new_cells.get(row.label)):
                continue
            share = shares.get(row.label)
            rows.append(
                LabelRow(
                    label=row.label,
                    current=row.count,
                    new=new_cells.get(row.label, 0),
                    current_percent=row.percent,
                    low_percent=row.low_percent,
                    high_percent=row.high_percent,
                    new_percent=share,
                    within=None if share is None else row.low_percent <= share <= row.high_percent,
                )
            )
        said = {row.label for row in rows}
        others = [label for label in (*cells, *new_cells) if label not in said]
        return rows + [
            LabelRow(label=label, current=cells.get(label, 0), new=new_cells.get(label, 0)) for label in dict.fromkeys(others)
        ]

    def _judged(self, rows: Sequence[LabelRow]) -> tuple[Verdict, list[str]]:
        was, now = self._current.counts.wbc_total, self._new.counts.wbc_total
        reasons = [
            f"{row.label}: {row.new_percent:.1f} % of the leukocytes, and the limits of {row.current_percent:.1f} % are "
            f"{row.low_percent:.1f} to {row.high_percent:.1f} %"
            for row in rows
            if row.within is False
        ]
        if was + now:
            low, high = clopper_pearson(was, was + now)
            if not low <= 0.5 <= high:
                reasons.insert(0, f"{now} leukocytes where the current bundle finds {was}: more than chance would change them")
        if reasons:
            return "outside", reasons
        if was < LEAST_LEUKOCYTES:
            return "undecided", [
                f"the current bundle finds {was} leukocytes in these fields, and fewer than {LEAST_LEUKOCYTES} can show nothing"
            ]
        return "within", []


def _figures(setup: Setup, engine: EngineInfo, sums: _Sums) -> SideFigures:
    times = sums.times_ms
    return SideFigures(
        name=setup.bundle.manifest.name,
        bundle_id=setup.bundle.bundle_id,
        path=str(setup.bundle.path),
        engine=str(engine),
        engine_key=engine.key,
        parity=engine.parity,
        thresholds_from=_where_thresholds_are_from(setup),
        warnings=setup.warnings,
        cells=sum(sums.counts.cells.values()),
        leukocytes=sums.counts.wbc_total,
        overflows=sums.overflows,
        median_ms=round(float(np.median(times)), 3) if times else None,
        p95_ms=round(float(np.percentile(times, 95)), 3) if times else None,
    )


def _where_thresholds_are_from(setup: Setup) -> str:
    """Each place that states one, the strongest first."""
    places = [str(origin) for name, origin in setup.origins.items() if name.startswith("thresholds")]
    return ", ".join(dict.fromkeys(reversed(places)))
