"""Opens what a run is made of, so that every mistake in it is known before a controller waits."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from edge.camera.correction import Correction
from edge.camera.frame import FrameSource, SourceInfo, SourceNote, TriggeredSource
from edge.camera.frame_store import FrameStore
from edge.camera.profile_camera import require_camera
from edge.camera.resample import FitPlan
from edge.camera.uri import open_source
from edge.contracts.bundle import Bundle
from edge.contracts.errors import ConfigError, LeukoError
from edge.engine import open_engine
from edge.engine.base import Engine
from edge.pipeline.crops import CropStore
from edge.pipeline.field_correction import correction_for
from edge.pipeline.field_work import plan_for
from edge.pipeline.gate_doubt import doubt_of_run
from edge.settings import EdgeSettings, Setup
from edge.signing import signers_in

_LONGEST_NAME = 240
_log = logging.getLogger(__name__)
_Store = TypeVar("_Store", FrameStore, CropStore)


@dataclass(frozen=True, slots=True)
class Parts:
    """An open source, the engine compiled for its frames, and where frames and cells are kept. Raises `ConfigError` for an
    engine that was opened for other frames.
    """

    source: FrameSource | TriggeredSource
    engine: Engine
    plan: FitPlan
    frames: FrameStore | None = None
    crops: CropStore | None = None
    notes: tuple[SourceNote, ...] = ()
    """what is to be said among the run's records of what could not be opened"""
    most_fields: int | None = None
    """of a batch, where the engine was opened for larger ones; None: as many as it takes"""

    def __post_init__(self) -> None:
        info, plan = self.engine.info, self.plan
        have, need = (info.frame_width_px, info.frame_height_px), (plan.engine_width_px, plan.engine_height_px)
        if have != need:
            raise ConfigError(f"the engine takes frames of {have} px but this source needs {need} px; open it for this source.")
        if info.max_batch < plan.n_tiles:
            raise ConfigError(
                f"one field takes {plan.n_tiles} engine frames but a batch holds {info.max_batch}; raise `max_batch`."
            )

    @property
    def fields_per_batch(self) -> int:
        """At most."""
        capacity = self.engine.info.max_batch // self.plan.n_tiles
        return capacity if self.most_fields is None else min(capacity, self.most_fields)


def engine_for(
    info: SourceInfo, bundle: Bundle, settings: EdgeSettings, correction: Correction | None = None
) -> tuple[Engine, FitPlan]:
    """The engine for frames of this source, corrected on their way, and how they are fitted. A warning where its parity gate
    was passed on fields that were corrected otherwise."""
    plan = plan_for(info, bundle, correction)
    engine = open_for(plan, bundle, settings)
    if doubt := doubt_of_run(engine.info, correction, bundle, settings):
        _log.warning("%s", doubt)
    return engine, plan


def batch_for(plan: FitPlan, settings: EdgeSettings) -> int:
    """Frames of a batch: it holds whole fields, at least one, at most `max_batch` frames."""
    return max(1, settings.max_batch // plan.n_tiles) * plan.n_tiles


def open_for(plan: FitPlan, bundle: Bundle, settings: EdgeSettings) -> Engine:
    """The engine for what `plan` makes of fields, here or on a server. Raises as `open_engine` and `open_remote`."""
    if settings.server is not None:
        if settings.signers is not None:
            raise ConfigError("what a server computes with cannot be signed; leave out --server, or --signers.")
        from edge.engine.remote import open_remote, server_of  # noqa: PLC0415 its client is an extra

        return open_remote(
            bundle,
            plan.engine_width_px,
            plan.engine_height_px,
            server_of(settings),
            partial(_open_here, plan, bundle, settings),
            max_batch=batch_for(plan, settings),
            engine_dir=settings.engine_dir,
            allow_ungated=settings.allow_ungated_engine,
        )
    return _open_here(plan, bundle, settings)


def _open_here(plan: FitPlan, bundle: Bundle, settings: EdgeSettings) -> Engine:
    return open_engine(
        bundle,
        plan.engine_width_px,
        plan.engine_height_px,
        max_batch=batch_for(plan, settings),
        engine=settings.engine,
        engine_dir=settings.engine_dir,
        allow_ungated=settings.allow_ungated_engine,
        precision=settings.precision,
        threads=settings.threads,
        hint=settings.hint,
        signers=signers_in(settings.signers),
    )


@contextmanager
def opened(setup: Setup, source: FrameSource | None = None) -> Iterator[Parts]:
    """Open source and engine in this thread, and close both. Raises any `LeukoError` that says what is wrong with them.

    With `source`, that one instead of what the settings name; it is closed, too.
    """
    settings = setup.settings
    with ExitStack() as held:
        source = held.enter_context(closing(source or open_source(settings.source, settings.um_per_px)))
        info, frames, crops = source.info, None, None
        if setup.profile_camera is not None:
            require_camera(setup.profile_camera, info, settings.profile, settings.objective)
        engine, plan = engine_for(info, setup.bundle, settings, correction_for(setup))
        held.callback(engine.close)
        # After the engine: a start that failed leaves no directory behind, which the next one would find in its way.
        if settings.keep_frames is not None:
            frames = held.enter_context(closing(FrameStore(settings.keep_frames, info, settings.keep_frames_mb)))
        if settings.keep_crops is not None:
            crops = held.enter_context(closing(CropStore(settings.keep_crops, info, settings.keep_frames_mb)))
        yield Parts(source, engine, plan, frames, crops)


@contextmanager
def keeping(parts: Parts, settings: EdgeSettings, run_id: str) -> Iterator[Parts]:
    """The parts of one run of many: what it keeps of frames and cells lies in directories that bear its name.

    A run is not given up for what cannot be kept: that is among `notes`.
    """
    info, name = parts.source.info, _name_of(run_id)
    notes = list[SourceNote]()
    with ExitStack() as held:
        frames, problem = _kept(held, FrameStore, settings.keep_frames, name, info, settings.keep_frames_mb)
        if problem:
            notes.append(SourceNote("recording_cut", problem, "warning"))
        crops, problem = _kept(held, CropStore, settings.keep_crops, name, info, settings.keep_frames_mb)
        if problem:
            notes.append(SourceNote("crops_incomplete", problem, "warning"))
        yield replace(parts, frames=frames, crops=crops, notes=tuple(notes))


def place_of_run(folder: Path, run_id: str) -> Path:
    """Where the frames or cells are that a run kept in `folder`: a service gives each run a directory of its own there."""
    own = folder / _name_of(run_id)
    return own if own.is_dir() else folder


def _name_of(run_id: str) -> str:
    return f"run-{quote(run_id, safe='')}"[:_LONGEST_NAME]


def _kept(
    held: ExitStack, store: type[_Store], folder: Path | None, name: str, info: SourceInfo, max_mb: float
) -> tuple[_Store | None, str]:
    """The open store, or why there is none although one is wanted."""
    if folder is None:
        return None, ""
    try:
        return held.enter_context(closing(store(folder / name, info, max_mb))), ""
    except LeukoError as problem:
        return None, str(problem)
