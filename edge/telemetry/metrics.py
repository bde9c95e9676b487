"""Sums and state in the form that prometheus-client writes out, made at the moment of each scrape."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.engine.base import EngineInfo
from edge.pipeline.run_control import Phase
from edge.telemetry.snapshot import Look
from edge.telemetry.tally import BOUNDS_S, WHOLE, Histogram, Tally


@dataclass(frozen=True, slots=True)
class Published:
    """What the telemetry socket did since this process started; zeros when it is off."""

    sent: int
    refused: int


class EdgeCollector(Collector):
    """Everything on the metrics page. The pipeline hands nothing to prometheus-client: it only adds to `tally`."""

    def __init__(self, tally: Tally, look: Look, engine: EngineInfo, published: Callable[[], Published]) -> None:
        self._tally, self._look, self._engine, self._published = tally, look, engine, published

    def collect(self) -> Iterator[Metric]:
        totals, now, published = self._tally.totals(), self._look(), self._published()
        fields = {status.value: count for status, count in totals.fields.items()}
        yield _counter("leukostream_fields", "Fields by how they ended: losses, skips and failures, too", "status", fields)
        yield _counter("leukostream_cells", "Cells of counted fields by label, field by field", "label", totals.cells)
        whole = totals.stages.pop(WHOLE)
        yield _histogram("leukostream_stage_seconds", "Time a field spent in each stage", totals.stages)
        yield _histogram("leukostream_field_seconds", "From the frame in memory to its record handed over", {"": whole})
        phases = {phase: int(phase == now.phase) for phase in get_args(Phase)}
        yield _gauges("leukostream_run_phase", "1 for the phase that the run is in", "phase", phases)
        for name, text, value in (
            ("queue_fields", "Fields that wait for the engine", now.queue_fields),
            ("open_triggers", "Triggers that have not ended", now.open_triggers),
            ("journal_lag_records", "Records of the newest run that no controller has acknowledged", now.lag or 0),
            ("sessions", "Controllers and observers with a session", now.sessions),
        ):
            yield GaugeMetricFamily(f"leukostream_{name}", text, value)
        refused = {"stream": now.refused, "telemetry": published.refused}
        yield _counter("leukostream_refused_clients", "Clients turned away for want of a key, by socket", "socket", refused)
        yield _counter("leukostream_rejected_messages", "Messages answered with REJECT, by code", "code", now.rejects)
        yield CounterMetricFamily("leukostream_telemetry_sent", "Messages published on the telemetry socket", published.sent)
        yield InfoMetricFamily("leukostream_engine", "What computes", _about(self._engine))


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
