"""What `leuko-edge bench` measures: the whole pipeline against the same compiled engine in a bare loop, interleaved."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.bench.loop_report import Measured, summary
from edge.bench.substitutes import MemorySource, ReplayEngine
from edge.camera.frame import FrameSource, SourceEnded
from edge.camera.pixels import bgr_of
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError, SourceError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord
from edge.engine.pipelined import PipelinedEngine
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, opened, records_of
from edge.settings import Setup

_IMAGES = 16
_READ_S = 10.0
_ALONE_BATCHES = 100
_RUN_FIELDS = 200
"""Without inference a run is short; what starting and ending it costs is shared by at least as many fields as a differential
of 200 leukocytes takes."""


def bench_loop(setup: Setup, n_fields: int, rounds: int) -> dict[str, Any]:
    """Open what a run needs, measure, and give the figures of `summary`. Raises what opening does, and `EngineError`."""
    with opened(setup) as parts:
        return summary(measure(setup, parts, images_of(parts.source, _IMAGES), n_fields, rounds), str(parts.engine.info))


def images_of(source: FrameSource, n_images: int) -> list[Image]:
    """The first good images of a source. Raises `SourceError` when it has none."""
    images: list[Image] = []
    try:
        while len(images) < n_images:
            frame = source.read(_READ_S)
            image = bgr_of(frame)
            if image is not None:
                images.append(image.copy())  # it may lie in a camera driver's buffer
    except SourceEnded:
        if not images:
            raise SourceError(
                f"{source.info.uri} gave no field that can be used; choose another source to measure with."
            ) from None
    return images


def measure(setup: Setup, parts: Parts, images: Sequence[Image], n_fields: int, rounds: int) -> Measured:
    """Run all three `rounds` times in turn, after one round each that does not count. Raises `EngineError`."""
    measured = Measured(n_fields)
    replay = replace(parts, engine=ReplayEngine(parts.engine, [_found(parts, image) for image in images]))
    for number in range(rounds + 1):
        bare_ms, engine_ms = _bare(parts, images, n_fields)
        pipeline_ms, total_ms = _pipeline(setup, parts, images, n_fields)
        if isinstance(parts.engine, PipelinedEngine):
            alone_ms = _alone(parts, parts.engine)
            measured.alone_ms += [alone_ms] if number else []
        outside_ms, _ = _pipeline(setup, replay, images, max(n_fields, _RUN_FIELDS))
        if number == 0:
            continue
        measured.bare_ms.append(bare_ms)
        measured.pipeline_ms.append(pipeline_ms)
        measured.outside_ms.append(outside_ms)
        measured.engine_ms += engine_ms
        measured.total_ms += total_ms
    return measured


def _alone(parts: Parts, engine: PipelinedEngine) -> float:
    per_batch = engine.info.max_batch // parts.plan.n_tiles
    return engine.inference_only_ms(per_batch * parts.plan.n_tiles, _ALONE_BATCHES) / per_batch


def _found(parts: Parts, image: Image) -> RawDetections:
    n_tiles = parts.plan.n_tiles
    parts.plan.write(image, list(parts.engine.slot(0)[:n_tiles]))
    parts.engine.submit(0, n_tiles)
    return parts.engine.collect(0)


def _bare(parts: Parts, images: Sequence[Image], n_fields: int) -> tuple[float, list[float]]:
    """Slots are written once; then only the engine is called, with every slot in flight. Returns ms per field, ms per call."""
    engine, plan = parts.engine, parts.plan
    per_batch = engine.info.max_batch // plan.n_tiles
    rows = per_batch * plan.n_tiles
    for slot in range(engine.info.slots):
        for nth in range(per_batch):
            image = images[nth % len(images)]
            plan.write(image, list(engine.slot(slot)[nth * plan.n_tiles : (nth + 1) * plan.n_tiles]))
    n_batches = -(-n_fields // per_batch)
    ends = [time.monotonic_ns()]
    for number in range(n_batches + engine.info.slots):
        slot = number % engine.info.slots
        if number >= engine.info.slots:
            engine.collect(slot)
            ends.append(time.monotonic_ns())
        if number < n_batches:
            engine.submit(slot, rows)
    # The first calls wait for batches to go in that later ones find there.
    calls_ms = np.diff(ends)[min(engine.info.slots, n_batches - 1) :] / 1e6
    return (ends[-1] - ends[0]) / 1e6 / (n_batches * per_batch), calls_ms.tolist()


def _pipeline(setup: Setup, parts: Parts, images: Sequence[Image], n_fields: int) -> tuple[float, list[float]]:
    source = MemorySource(images, parts.source.info, n_fields)
    order = RunStartCommand(cmd_id="bench", run_id=str(uuid.uuid4()))
    run = Run(setup, Parts(source, parts.engine, parts.plan), order, StopSwitch())
    journal, total_ms = MemoryJournal(), []
    start_ns = time.monotonic_ns()
    for record in records_of(run):
        journal.append(record)
        if isinstance(record, FieldRecord):
            if record.times is None:
                raise EngineError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
            total_ms.append(record.times.total_ms)
    return (time.monotonic_ns() - start_ns) / 1e6 / n_fields, total_ms
