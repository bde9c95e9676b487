"""What the metrics page shows: sums over everything this process has recorded, which only grow, also from run to run; and the
state of the edge, both in the form that prometheus-client writes out, made at the moment of each scrape."""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.contracts.records import FieldRecord, FieldStatus, StageTimes
from edge.counting import NON_WBC_LABELS, WBC_LABELS
from edge.engine.base import EngineInfo
from edge.pipeline.run_control import Phase, ServiceState
from edge.telemetry.snapshot import TakeSnapshot

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


@dataclass(frozen=True, slots=True)
class Published:
    """What the telemetry socket did since this process started; zeros when it is off."""

    sent: int
    refused: int


class EdgeCollector(Collector):
    """Everything on the metrics page. The pipeline hands nothing to prometheus-client: it only adds to `tally`."""

    def __init__(
        self,
        tally: Tally,
        snapshot: TakeSnapshot,
        engine: Callable[[], EngineInfo | None],
        published: Callable[[], Published],
    ) -> None:
        self._tally, self._snapshot, self._engine, self._published = tally, snapshot, engine, published

    def collect(self) -> Iterator[Metric]:
        totals, now, published = self._tally.totals(), self._snapshot(), self._published()
        fields = {status.value: count for status, count in totals.fields.items()}
        yield _counter("leukostream_fields", "Fields by how they ended: losses, skips and failures, too", "status", fields)
        yield _counter("leukostream_cells", "Cells of counted fields by label, field by field", "label", totals.cells)
        whole = totals.stages.pop(WHOLE)
        yield _histogram("leukostream_stage_seconds", "Time a field spent in each stage", totals.stages)
        yield _histogram("leukostream_field_seconds", "From the frame in memory to its record handed over", {"": whole})
        phases = {phase: int(phase == now.phase) for phase in get_args(Phase)}
        yield _gauges("leukostream_run_phase", "1 for the phase that the run is in", "phase", phases)
        states = {state: int(state == now.service.state) for state in get_args(ServiceState)}
        yield _gauges("leukostream_service_state", "1 for the state that the process is in", "state", states)
        for name, text, value in (
            ("queue_fields", "Fields that wait for the engine", now.queue_fields),
            ("open_triggers", "Triggers that have not ended", now.open_triggers),
            ("journal_lag_records", "Records of the newest run that no controller has acknowledged", now.lag or 0),
            ("paused", "1 while the controller holds the run", int(now.paused)),
            ("sessions", "Controllers and observers with a session", now.sessions),
        ):
            yield GaugeMetricFamily(f"leukostream_{name}", text, value)
        refused = {"stream": now.refused, "telemetry": published.refused}
        yield _counter("leukostream_refused_clients", "Clients turned away for want of a key, by socket", "socket", refused)
        yield _counter("leukostream_rejected_messages", "Messages answered with REJECT, by code", "code", now.rejects)
        yield CounterMetricFamily("leukostream_telemetry_sent", "Messages published on the telemetry socket", published.sent)
        if (engine := self._engine()) is not None:
            yield InfoMetricFamily("leukostream_engine", "What computes", _about(engine))


def _about(engine: EngineInfo) -> dict[str, str]:
    return {
        "runtime": engine.runtime,
        "version": engine.version,
        "device": engine.device,
        "precision": engine.precision,
        "max_batch": str(engine.max_batch),
        "key": engine.key or "",
        "parity": engine.parity,
    }


def _counter(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _gauges(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, now in values.items():
        family.add_metric([value], now)
    return family


def _histogram(name: str, text: str, stages: dict[str, Histogram]) -> Metric:
    """A series per stage; one without that label when its name is empty."""
    family = HistogramMetricFamily(name, text, labels=["stage"] if any(stages) else [])
    for stage, histogram in stages.items():
        bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric([stage] if stage else [], buckets, histogram.sum_s)
    return family
