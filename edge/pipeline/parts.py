"""Opens what a run needs, so that every mistake in it is known before a controller waits."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from edge.camera.frame import FrameSource, SourceInfo
from edge.camera.frame_store import FrameStore
from edge.camera.resample import FitPlan
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle
from edge.contracts.errors import LeukoError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import FieldRecord, RunOutcome, RunStop
from edge.engine import open_engine
from edge.engine.base import Engine
from edge.pipeline.cell_work import plan_for
from edge.pipeline.crops import CropStore
from edge.pipeline.run import Run
from edge.pipeline.stop import StopSwitch
from edge.settings import EdgeSettings, Setup
from edge.signing import signers_in


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source, and the engine compiled for its frames."""

    source: FrameSource
    engine: Engine
    plan: FitPlan
    frames: FrameStore | None = None
    crops: CropStore | None = None


def engine_for(info: SourceInfo, bundle: Bundle, settings: EdgeSettings) -> tuple[Engine, FitPlan]:
    """The engine for frames of this source. A batch holds whole fields: at least one, at most `max_batch` frames."""
    plan = plan_for(info, bundle)
    fields = max(1, settings.max_batch // plan.n_tiles)
    engine = open_engine(
        bundle,
        plan.engine_width_px,
        plan.engine_height_px,
        max_batch=fields * plan.n_tiles,
        engine=settings.engine,
        engine_dir=settings.engine_dir,
        allow_ungated=settings.allow_ungated_engine,
        precision=settings.precision,
        threads=settings.threads,
        signers=signers_in(settings.signers),
    )
    return engine, plan


@contextmanager
def opened(setup: Setup) -> Iterator[Opened]:
    """Open source and engine in this thread, and close both. Raises any `LeukoError` that says what is wrong with them."""
    settings = setup.settings
    with ExitStack() as held:
        source = held.enter_context(closing(open_source(settings.source, settings.um_per_px)))
        info, frames, crops = source.info, None, None
        if settings.keep_frames is not None:
            frames = held.enter_context(closing(FrameStore(settings.keep_frames, info, settings.keep_frames_mb)))
        if settings.keep_crops is not None:
            crops = held.enter_context(closing(CropStore(settings.keep_crops, info, settings.keep_frames_mb)))
        engine, plan = engine_for(info, setup.bundle, settings)
        held.callback(engine.close)
        yield Opened(source, engine, plan, frames, crops)


def run_fields(source: FrameSource, engine: Engine, bundle: Bundle, settings: EdgeSettings) -> Iterator[FieldRecord]:
    """Every field of a source, without a stream: for evaluation, calibration and tests. `engine` is as from `engine_for`.

    Raises `LeukoError` with the run's detail when the run fails; a single field that failed is a record like any other.
    """
    order = RunStartCommand(cmd_id="local", run_id=str(uuid.uuid4()))
    run = Run(Setup(settings, bundle), source, engine, plan_for(source.info, bundle), order, StopSwitch())
    for record in run.records():
        if isinstance(record, FieldRecord):
            yield record
        elif isinstance(record, RunStop) and record.outcome is RunOutcome.FAILED:
            raise LeukoError(record.detail)
