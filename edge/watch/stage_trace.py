"""Where a run's time went, as a trace that Perfetto (ui.perfetto.dev) and Chrome (chrome://tracing) show.

A field is a bar from its exposure to its record, with its stages on it; fields that were on their way at the same time lie in
rows below each other. Trace Event Format: complete events ("X") whose times are microseconds of the edge's monotonic clock, and
count from the first field. What has only a time of day (events, advice) stands where the field before it ended.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

STAGES = ("queue_ms", "fit_ms", "batch_ms", "infer_ms", "postprocess_ms")
"""After the frame was in memory, in their order; `acquire_ms` lies before that."""
_NS_PER_US = 1000.0
_US_PER_MS = 1000.0


def trace_events(contents: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One event after the other, from the JSON bytes of a run's records in order. What is no record is left out."""
    rows = _Rows()
    for content in contents:
        try:
            record = json.loads(content)
            kind = record["type"]
            if kind == "run_start":
                yield _name("process_name", 0, f"run {record['run_id']}, {record['provenance']['engine']}")
            elif kind == "field":
                yield from rows.field(record)
            elif kind == "event":
                yield rows.mark(record["code"], {"severity": record["severity"], "at": record["wall_time"]})
            elif kind == "advice":
                yield rows.mark(f"advice: {record['advice']}", {"at": record["wall_time"]})
            elif kind == "run_stop":
                yield rows.mark(f"run_stop: {record['outcome']}", {"at": record["wall_time"]})
        except (ValueError, LookupError, TypeError):
            continue


def trace_document(contents: Iterable[bytes]) -> Iterator[str]:
    """The file, piece by piece: a slide has too many fields to hold it whole."""
    yield '{"displayTimeUnit":"ms","traceEvents":['
    for number, event in enumerate(trace_events(contents)):
        yield f"{',' if number else ''}\n{json.dumps(event, separators=(',', ':'))}"
    yield "\n]}\n"


class _Rows:
    """The rows in which fields lie, and until when each is taken."""

    def __init__(self) -> None:
        self._taken_until_us: list[float] = []
        self._zero_us: float | None = None
        self._last_us = 0.0

    def field(self, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The bar of a field; of one that did not go all the way a mark."""
        times, label = record["times"], f"field {record['field_index']}"
        about = {"status": record["status"], "trigger_id": record["trigger_id"], "seq": record["seq"]}
        if times is None:
            yield self.mark(f"{label}: {record['status']}", about)
            return
        in_memory_us = int(record["t_host_ns"]) / _NS_PER_US
        acquire_us = times["acquire_ms"] * _US_PER_MS
        if self._zero_us is None:
            self._zero_us = in_memory_us - acquire_us
        start_us = in_memory_us - acquire_us - self._zero_us
        worked_us = sum(times[stage] for stage in STAGES) * _US_PER_MS
        end_us = start_us + acquire_us + max(times["total_ms"] * _US_PER_MS, worked_us)
        row, is_new = self._free_row(start_us)
        self._taken_until_us[row] = end_us
        self._last_us = max(self._last_us, end_us)
        if is_new:
            yield _name("thread_name", row + 1, f"fields, row {row + 1}")
        yield _bar(label, row, start_us, end_us, about)
        at_us = start_us
        for stage in ("acquire_ms", *STAGES):
            lasts_us = times[stage] * _US_PER_MS
            if lasts_us > 0:
                yield _bar(stage.removesuffix("_ms"), row, at_us, at_us + lasts_us, {})
            at_us += lasts_us

    def mark(self, name: str, about: dict[str, Any]) -> dict[str, Any]:
        """A point of the whole run, where the last field ended."""
        return {"name": name, "ph": "i", "s": "p", "pid": 1, "tid": 0, "ts": round(self._last_us, 3), "args": about}

    def _free_row(self, start_us: float) -> tuple[int, bool]:
        for row, until_us in enumerate(self._taken_until_us):
            if until_us <= start_us:
                return row, False
        self._taken_until_us.append(0.0)
        return len(self._taken_until_us) - 1, True


def _bar(name: str, row: int, start_us: float, end_us: float, about: dict[str, Any]) -> dict[str, Any]:
    """Its ends are rounded, not its length, so that what lies within another bar still does."""
    start_us, end_us = round(start_us, 3), round(end_us, 3)
    bar = {"name": name, "ph": "X", "pid": 1, "tid": row + 1, "ts": start_us, "dur": round(end_us - start_us, 3)}
    return bar | ({"args": about} if about else {})


def _name(what: str, row: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": row, "args": {"name": name}}
