"""Engines that stay open from slide to slide: compiled and warmed once for each size of frames, not once for each slide."""

from collections import OrderedDict
from typing import cast

from edge.camera.correction import Correction
from edge.camera.frame import SourceInfo
from edge.camera.resample import FitPlan
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import ConfigError, EngineError
from edge.engine.base import ChangingEngine, Engine, EngineInfo
from edge.pipeline.field_work import plan_for
from edge.pipeline.parts import batch_for, open_for
from edge.settings import Setup

_KEPT = 2
"""Slides of one archive have one size of frames, seldom two; each engine holds memory of the GPU."""


class WatchedEngine:
    """Another engine, which remembers whether it was the one that failed: a run says so only in words."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.failure: Exception | None = None

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def slot(self, index: int) -> Image:
        return self._engine.slot(index)

    def submit(self, index: int, n: int) -> None:
        try:
            self._engine.submit(index, n)
        except Exception as problem:
            self.failure = problem
            raise

    def collect(self, index: int) -> RawDetections:
        try:
            return self._engine.collect(index)
        except Exception as problem:
            self.failure = problem
            raise

    def notes(self) -> list[str]:
        """What another engine, which may change, says of itself."""
        return cast(ChangingEngine, self._engine).notes() if hasattr(self._engine, "notes") else []

    def keep_warm(self) -> None:
        self._engine.keep_warm()

    def close(self) -> None:
        self._engine.close()


class EngineShelf:
    """The engines of one process, by what they were compiled for; belongs to one thread. Close it."""

    def __init__(self) -> None:
        self._open: OrderedDict[tuple[str, int, int, int], WatchedEngine] = OrderedDict()

    def engine_for(self, info: SourceInfo, setup: Setup, correction: Correction | None) -> tuple[WatchedEngine, FitPlan]:
        """The engine for frames of this source, opened if no former slide had such.

        Raises `EngineError` when it does not open, and `ConfigError` when such frames do not fit the model.
        """
        plan = plan_for(info, setup.bundle, correction)
        batch = batch_for(plan, setup.settings)
        key = (setup.bundle.bundle_id, plan.engine_width_px, plan.engine_height_px, batch)
        if key not in self._open:
            while len(self._open) >= _KEPT:
                self._open.popitem(last=False)[1].close()
            try:
                self._open[key] = WatchedEngine(open_for(plan, setup.bundle, setup.settings))
            except ConfigError as problem:  # no slide's matter
                raise EngineError(str(problem)) from problem
        self._open.move_to_end(key)
        return self._open[key], plan

    @property
    def is_empty(self) -> bool:
        return not self._open

    def close(self) -> None:
        """Close all of them; what is asked for then is opened anew."""
        while self._open:
            self._open.popitem()[1].close()
