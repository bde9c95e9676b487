"""The contestants of the loop: the compiled engine with nothing around it, with the copies, the whole pipeline, and the
pipeline without inference."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from edge.bench.rounds import Contestant, Turn
from edge.bench.substitutes import ReplayEngine, drawn_up_correction
from edge.camera.memory_source import APART_UM, MemorySource
from edge.camera.resample import FitPlan
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord, StageTimes
from edge.engine.pipelined import PipelinedEngine
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline import Parts, Run, StopSwitch, records_of
from edge.quality import FieldWatch
from edge.settings import Setup

_ALONE_BATCHES = 100
RUN_FIELDS = 200
"""Without inference a run is short; what starting and ending it costs is shared by at least as many fields as a differential
of 200 leukocytes takes."""


def loop_contestants(setup: Setup, parts: Parts, images: Sequence[Image]) -> list[Contestant]:
    """Of one open engine. Raises `EngineError`."""
    replay = replace(parts, engine=ReplayEngine(parts.engine, [_found(parts, image) for image in images]))
    found = [
        Contestant("engine", "the engine, its slots written once", lambda n: _engine(parts, images, n, copies=False)),
        engine_contestant(parts, images),
        pipeline_contestant("pipeline", setup, parts, images),
        Contestant(
            "without_inference",
            "the whole pipeline over an engine that takes no time",
            lambda n: _pipeline(setup, replay, images, max(n, RUN_FIELDS)),
        ),
    ]
    found += fit_contestants(parts, images)
    engine = parts.engine
    if isinstance(engine, PipelinedEngine):
        found.append(Contestant("inference_alone", "the GPU's inference without copies", lambda _: _alone(parts, engine)))
    return found


def pipeline_contestant(name: str, setup: Setup, parts: Parts, images: Sequence[Image]) -> Contestant:
    """The whole pipeline over one open engine."""
    hint = f", {parts.engine.info.hint} hint" if parts.engine.info.hint else ""
    what = f"the whole pipeline, journal in memory{hint}"
    return Contestant(name, what, lambda n: _pipeline(setup, parts, images, n))


def engine_contestant(parts: Parts, images: Sequence[Image]) -> Contestant:
    """The open engine at its best, with the copies that every field needs."""
    return Contestant("engine_with_copies", "the engine, every field fitted into a slot", lambda n: _engine(parts, images, n))


def fit_contestants(parts: Parts, images: Sequence[Image]) -> list[Contestant]:
    """The way into a slot without a correction and with one of light and colours: the run's own, or one that is drawn up."""
    plan = parts.plan
    own = plan.correction if plan.correction is not None and plan.correction.is_whole else None
    corrected = own or drawn_up_correction()
    said = "the profile's" if own is not None else "a drawn up correction of"
    return [
        Contestant("fit", "into a slot, nothing corrected", lambda n: _fit(parts, plan.with_correction(None), images, n)),
        Contestant(
            "fit_corrected",
            f"into a slot, {said} light and colours",
            lambda n: _fit(parts, plan.with_correction(corrected), images, n),
        ),
        Contestant("quality", "a look at how a field came out", lambda n: _quality(parts, images, n)),
    ]


def first_after_idle_ms(parts: Parts, images: Sequence[Image], idle_s: float, repeats: int) -> list[float]:
    """One field through the engine right after it had nothing to do for `idle_s`; kept warm meanwhile, as in a run."""
    found = []
    for _ in range(repeats):
        until_s = time.monotonic() + idle_s
        while (left_s := until_s - time.monotonic()) > 0:
            parts.engine.keep_warm()
            time.sleep(min(left_s, 0.05))
        began_ns = time.monotonic_ns()
        _found(parts, images[0])
        found.append((time.monotonic_ns() - began_ns) / 1e6)
    return found


def _fit(parts: Parts, plan: FitPlan, images: Sequence[Image], n_fields: int) -> Turn:
    views = list(parts.engine.slot(0)[: plan.n_tiles])
    plan.write(images[0], views)  # which makes the map of gains, once for a run
    return _each(images, n_fields, lambda index, image: plan.write(image, views))


def _quality(parts: Parts, images: Sequence[Image], n_fields: int) -> Turn:
    watch = FieldWatch("mark", parts.source.info.um_per_px)

    def look(index: int, image: Image) -> None:
        watch.look(str(index), image)
        watch.judged(str(index), index, None)

    return _each(images, n_fields, look)


def _each(images: Sequence[Image], n_fields: int, do: Callable[[int, Image], None]) -> Turn:
    ends_ns = [time.monotonic_ns()]
    for index in range(n_fields):
        do(index, images[index % len(images)])
        ends_ns.append(time.monotonic_ns())
    each_ms = [(after - before) / 1e6 for before, after in pairwise(ends_ns)]
    return Turn((ends_ns[-1] - ends_ns[0]) / 1e6 / n_fields, each_ms, [end / 1e6 for end in ends_ns[1:]])


def _alone(parts: Parts, engine: PipelinedEngine) -> Turn:
    per_batch = engine.info.max_batch // parts.plan.n_tiles
    ms = engine.inference_only_ms(per_batch * parts.plan.n_tiles, _ALONE_BATCHES)
    return Turn(ms / per_batch, [ms], [])


def _found(parts: Parts, image: Image) -> RawDetections:
    n_tiles = parts.plan.n_tiles
    parts.plan.write(image, list(parts.engine.slot(0)[:n_tiles]))
    parts.engine.submit(0, n_tiles)
    return parts.engine.collect(0)


def _engine(parts: Parts, images: Sequence[Image], n_fields: int, *, copies: bool = True) -> Turn:
    """Full batches with every slot in flight, at least `n_fields`. Times are of calls: from a result to the next."""
    engine, plan = parts.engine, parts.plan
    slots, per_batch = engine.info.slots, engine.info.max_batch // plan.n_tiles

    def fill(slot: int, first: int) -> None:
        view = engine.slot(slot)
        for nth in range(per_batch):
            rows = view[nth * plan.n_tiles : (nth + 1) * plan.n_tiles]
            plan.write(images[(first + nth) % len(images)], list(rows))

    if not copies:
        for slot in range(slots):
            fill(slot, 0)
    n_batches = -(-n_fields // per_batch)
    ends_ns = [time.monotonic_ns()]
    for number in range(n_batches + slots):
        slot = number % slots
        if number >= slots and number - slots < n_batches:
            engine.collect(slot)
            ends_ns.append(time.monotonic_ns())
        if number < n_batches:
            if copies:
                fill(slot, number * per_batch)
            engine.submit(slot, per_batch * plan.n_tiles)
    # The first calls wait for batches to go in that later ones find there.
    settled = ends_ns[min(slots, n_batches - 1) :]
    calls_ms = [(after - before) / 1e6 for before, after in pairwise(settled)]
    return Turn((ends_ns[-1] - ends_ns[0]) / 1e6 / (n_batches * per_batch), calls_ms, [end / 1e6 for end in ends_ns[1:]])


def _pipeline(setup: Setup, parts: Parts, images: Sequence[Image], n_fields: int) -> Turn:
    source = MemorySource(images, parts.source.info, n_fields, step_um=APART_UM)
    order = RunStartCommand(cmd_id="bench", run_id=str(uuid.uuid4()))
    run = Run(setup, replace(parts, source=source, frames=None, crops=None), order, StopSwitch())
    journal, times, ends_ms = MemoryJournal(), list[StageTimes](), list[float]()
    start_ns = time.monotonic_ns()
    for record in records_of(run):
        journal.append(record)
        if isinstance(record, FieldRecord):
            if record.times is None:
                raise EngineError(f"a field that is measured failed, so that its time means nothing: {record.detail}")
            times.append(record.times)
            ends_ms.append(time.monotonic_ns() / 1e6)
    stages = {name: [getattr(each, name) for each in times] for name in StageTimes.model_fields}
    # To the last field's record, as for the whole edge: what ends a run is not a field's cost.
    return Turn((ends_ms[-1] - start_ns / 1e6) / n_fields, stages.pop("total_ms"), ends_ms, stages)
