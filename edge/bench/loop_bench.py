"""What `leuko-edge bench` measures: the whole pipeline against the same compiled engine in a bare loop, interleaved."""

import itertools
import platform
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge.camera.frame import Frame, FrameSource, SourceBase, SourceEnded, SourceInfo
from edge.camera.pixels import bgr_of
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError, SourceError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord
from edge.engine.base import Engine
from edge.engine.pipelined import PipelinedEngine
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, records_of
from edge.settings import Setup

_READ_S = 10.0
_ALONE_BATCHES = 100
_RUN_FIELDS = 200
"""Without inference a run is short; what starting and ending it costs is shared by at least as many fields as a differential
of 200 leukocytes takes."""


class MemorySource(SourceBase):
    """Gives `n_fields` frames that are in memory already, in turn."""

    def __init__(self, images: Sequence[Image], info: SourceInfo, n_fields: int) -> None:
        super().__init__()
        self._images = images
        self._n_fields = n_fields
        self._next = 0
        self.info = info

    def read(self, timeout_s: float) -> Frame:
        if self._next == self._n_fields:
            raise SourceEnded
        index, self._next = self._next, self._next + 1
        now_ns = time.monotonic_ns()
        return Frame(str(index), index, "ok", self._images[index % len(self._images)], self.info.um_per_px, now_ns, now_ns)

    def close(self) -> None:
        self._images = ()


class ReplayEngine:
    """Answers at once with what the real engine found before, so that a run over it costs everything but inference."""

    def __init__(self, engine: Engine, found: Sequence[RawDetections]) -> None:
        self.info = engine.info
        self._engine = engine
        self._found = itertools.cycle(found)
        self._n_tiles = len(found[0].scores)
        self._rows = [0] * engine.info.slots

    def slot(self, index: int) -> Image:
        return self._engine.slot(index)

    def submit(self, index: int, n: int) -> None:
        self._rows[index] = n

    def collect(self, index: int) -> RawDetections:
        fields = [next(self._found) for _ in range(self._rows[index] // self._n_tiles)]
        return RawDetections(
            np.concatenate([each.boxes for each in fields]),
            np.concatenate([each.scores for each in fields]),
            np.concatenate([each.labels for each in fields]),
        )

    def keep_warm(self) -> None:
        """There is nothing to warm."""

    def close(self) -> None:
        self._rows.clear()


@dataclass
class Measured:
    """ms per field of the bare loop, the pipeline, and the pipeline without inference, one per round of `n_fields`; then the ms
    of every single call of the engine and of every field."""

    n_fields: int
    bare_ms: list[float] = field(default_factory=list)
    pipeline_ms: list[float] = field(default_factory=list)
    outside_ms: list[float] = field(default_factory=list)
    engine_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    """ms per field of a GPU's inference alone, without copies, one per round; empty on a CPU"""

    def throughput_ratio(self) -> float:
        """Median over the rounds of pipeline throughput / bare throughput; the two of one pair ran one after the other."""
        return float(np.median(np.array(self.bare_ms) / np.array(self.pipeline_ms)))

    def share_of_inference(self) -> float | None:
        """Median of pipeline throughput / that of inference alone; None on a CPU."""
        return float(np.median(np.array(self.alone_ms) / np.array(self.pipeline_ms))) if self.alone_ms else None


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


def peak_memory_mb() -> float:
    """Highest resident memory of this process so far, 10^6 bytes."""
    import resource  # noqa: PLC0415 - not on every system, and only needed here

    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
