"""What a field costs as a slide grows: over an engine that takes no time, with few cells and many, watched by few and many."""

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.bench.bench_table import aligned, conditions_lines
from edge.bench.conditions import conditions, doubt_of
from edge.bench.memory import resident_bytes
from edge.bench.page_watchers import can_be_watched
from edge.bench.substitutes import ReplayEngine
from edge.bench.whole_edge import served
from edge.camera.memory_source import MemorySource, images_of
from edge.contracts.detections import RawDetections
from edge.contracts.errors import EngineError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, opened, records_of
from edge.settings import Setup
from edge.watch.work_progress import field_bar

SCHEMA = "leukostream-scaling-1"
CELLS = (0, 1, 10, 50, 200)
WATCHERS = ((0, 0, 0), (1, 0, 0), (4, 0, 0), (0, 4, 0), (4, 4, 0), (0, 0, 1), (0, 0, 4))
"""Observers that read every record, dashboards, and pages of `leuko-edge view` where that is installed."""
_SHORT = 500
_CELL_PX = 90.0
"""12 um across."""
_ACKNOWLEDGE_EVERY = 64
_WINDOWS = 40
_STEP_UM = 60.0
"""Fields are 95 x 75 um: neighbours overlap, so that each cell has to be told from its neighbours'."""
FLAT = 0.10
"""A field may cost so much more at the end of a run than at its beginning and still count as costing the same."""


def bench_scaling(setup: Setup, largest: int) -> dict[str, Any]:
    """Runs of 10^3 fields up to `largest`; then of `_SHORT` fields with each of `CELLS` and of `WATCHERS`."""
    begun = conditions()
    sizes = sizes_up_to(largest)
    watching = [each for each in WATCHERS if not each[2] or can_be_watched()]
    with opened(setup) as parts, field_bar() as progress:
        task = progress.add_task("scaling", total=sum(sizes) + _SHORT * (len(CELLS) + len(watching)))

        def passed(n: int) -> None:
            progress.advance(task, n)

        runs = []
        for size in sizes:
            runs.append(_run(setup, parts, size, 1, passed))
            # The largest takes half an hour: what is measured is said at once.
            progress.console.print(", ".join(filter(None, _size_cells(runs[-1]))), highlight=False)
        cells = [_run(setup, parts, _SHORT, n, passed) for n in CELLS]
        watched = [_watched(setup, parts, *watchers, passed) for watchers in watching]
    return {
        "schema": SCHEMA,
        "conditions": begun,
        "doubt": doubt_of(begun),
        "fields": runs,
        "cells": cells,
        "cells_slope_us": slope([run["cells_per_field"] for run in cells], [run["us_per_field"] for run in cells]),
        "watched": watched,
    }


def sizes_up_to(largest: int) -> list[int]:
    """Powers of ten from 10^3 on, and `largest` itself."""
    powers = [10**power for power in range(3, 7) if 10**power < largest]
    return [*powers, largest]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the straight line through the points, least squares."""
    return float(np.polyfit(x, y, 1)[0]) if len(set(x)) > 1 else 0.0


def growth(window_us: Sequence[float]) -> float:
    """By what share a field costs more in the last quarter of a run than in the first, of medians of windows."""
    quarter = max(1, len(window_us) // 4)
    return float(np.median(window_us[-quarter:]) / np.median(window_us[:quarter]) - 1)


def found_cells(n_cells: int, top_k: int, width_px: int, height_px: int) -> RawDetections:
    """One field's outputs with `n_cells` neutrophils side by side, sure of each; the rest is below every threshold."""
    across = int(np.ceil(np.sqrt(max(1, n_cells) * width_px / height_px)))
    down = -(-max(1, n_cells) // across)
    boxes = np.zeros((1, top_k, 4), np.float32)
    scores = np.zeros((1, top_k), np.float32)
    labels = np.full((1, top_k), 5, np.int32)
    for nth in range(min(n_cells, top_k)):
        x = (nth % across + 0.5) * width_px / across
        y = (nth // across + 0.5) * height_px / down
        half = min(0.7 * min(width_px / across, height_px / down), _CELL_PX) / 2
        boxes[0, nth] = (x - half, y - half, x + half, y + half)
        scores[0, nth] = 0.95
    return RawDetections(boxes, scores, labels)


def _stand_in(parts: Parts, n_cells: int) -> Parts:
    info = parts.engine.info
    one = found_cells(n_cells, info.top_k, info.frame_width_px, info.frame_height_px)
    n = parts.plan.n_tiles
    tiles = RawDetections(np.repeat(one.boxes, n, 0), np.repeat(one.scores, n, 0), np.repeat(one.labels, n, 0))
    return replace(parts, engine=ReplayEngine(parts.engine, [tiles]))


def _run(setup: Setup, parts: Parts, n_fields: int, n_cells: int, passed: Any) -> dict[str, Any]:  # noqa: ANN401
    """A scan in rows, with the stage's positions; its controller acknowledges."""
    stand_in, window = _stand_in(parts, n_cells), max(1, n_fields // _WINDOWS)
    source = MemorySource(images_of(parts.source, 1), parts.source.info, n_fields, step_um=_STEP_UM)
    order = RunStartCommand(cmd_id="scaling", run_id=str(uuid.uuid4()))
    journal, ends_ns, seen = MemoryJournal(), [time.monotonic_ns()], 0
    for record in records_of(Run(setup, replace(stand_in, source=source, frames=None, crops=None), order, StopSwitch())):
        journal.append(record)
        if record.seq % _ACKNOWLEDGE_EVERY == 0:
            journal.acknowledge(order.run_id, record.seq)
        if isinstance(record, FieldRecord):
            if record.times is None:
                raise EngineError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
            seen += 1
            if seen % window == 0:
                ends_ns.append(time.monotonic_ns())
                passed(window)
    window_us = (np.diff(ends_ns) / 1e3 / window).tolist()
    return {
        "fields": n_fields,
        "cells_per_field": n_cells,
        "us_per_field": float((ends_ns[-1] - ends_ns[0]) / 1e3 / (window * len(window_us))),
        "window_us_per_field": window_us,
        "growth": growth(window_us),
        "memory_mb": resident_bytes() / 1e6,
    }


def _watched(
    setup: Setup,
    parts: Parts,
    observers: int,
    dashboards: int,
    pages: int,
    passed: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """CPU time of the edge's process for a field: what watching costs it, whatever the watchers do beside."""
    worked_s = time.process_time()
    images = images_of(parts.source, 1)
    intended_ns, received = served(
        setup, _stand_in(parts, 1), images, _SHORT, "normal", None, None, observers, dashboards, pages
    )
    worked_s = time.process_time() - worked_s
    passed(_SHORT)
    return {
        "observers": observers,
        "dashboards": dashboards,
        "pages": pages,
        "cpu_us_per_field": 1e6 * worked_s / _SHORT,
        "us_per_field": float(received.arrived_ns[-1] - intended_ns[0]) / 1e3 / _SHORT,
    }


def scaling_text(result: dict[str, Any]) -> str:
    """For people."""
    return "\n".join(_lines(result))


def _lines(result: dict[str, Any]) -> Iterator[str]:
    yield from conditions_lines(result["conditions"])
    if result["doubt"]:
        yield f"  beware: {result['doubt']}"
    yield "outside the engine, which takes no time here"
    rows: list[tuple[str, ...]] = [("run", "cost", "more at its end", "", "memory")]
    rows += [_size_cells(run) for run in result["fields"]]
    yield from aligned(rows)
    rows = [("cells of a field", "us/field")]
    rows += [(str(run["cells_per_field"]), f"{run['us_per_field']:.0f}") for run in result["cells"]]
    yield from aligned(rows)
    yield f"  slope: {result['cells_slope_us']:.1f} us for each cell"
    rows = [("observers", "dashboards", "pages", "CPU us/field of the edge", "us/field")]
    for run in result["watched"]:
        cells = (f"{run['cpu_us_per_field']:.0f}", f"{run['us_per_field']:.0f}")
        rows.append((str(run["observers"]), str(run["dashboards"]), str(run["pages"]), *cells))
    yield from aligned(rows)


def _size_cells(run: dict[str, Any]) -> tuple[str, ...]:
    flat = "flat" if run["growth"] <= FLAT else "GROWS"
    cost, memory = f"{run['us_per_field']:.0f} us/field", f"{run['memory_mb']:.0f} MB"
    return f"{run['fields']} fields", cost, f"{run['growth']:+.1%}", flat, memory
