"""One image after the other through engines of as many sizes as there are: for whoever measures a model, outside of a run."""

from collections.abc import Callable
from time import perf_counter_ns
from types import TracebackType

import numpy as np

from edge.camera.resample import FitPlan
from edge.contracts.detections import Image, RawDetections
from edge.engine.base import Engine

OpenEngine = Callable[[int, int], Engine]
"""An engine for frames of that width and height in px, with a slot of at least one frame."""


class ImageEngines:
    """An engine for each size of frames that is asked for, opened once and closed together. For one thread."""

    def __init__(self, opened: OpenEngine) -> None:
        self._opened = opened
        self._engines: dict[tuple[int, int], Engine] = {}

    def __enter__(self) -> "ImageEngines":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._engines:
            self._engines.popitem()[1].close()

    def of(self, plan: FitPlan) -> Engine:
        """The engine for what `plan` makes of an image. Raises as opening one does."""
        size = plan.engine_width_px, plan.engine_height_px
        if size not in self._engines:
            self._engines[size] = self._opened(*size)
        return self._engines[size]


def infer(engine: Engine, plan: FitPlan, image: Image) -> tuple[RawDetections, int]:
    """The graph's rows for one image, one per tile, in an engine of the plan's size, and the nanoseconds between submit and
    collect."""
    frame = engine.slot(0)[0]
    tiles = [frame] if plan.n_tiles == 1 else [np.empty_like(frame) for _ in range(plan.n_tiles)]
    plan.write(image, tiles)
    parts, engine_ns = [], 0
    for tile in tiles:
        if tile is not frame:
            frame[...] = tile
        started = perf_counter_ns()
        engine.submit(0, 1)
        parts.append(engine.collect(0))
        engine_ns += perf_counter_ns() - started
    rows = (np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "scores", "labels"))
    return RawDetections(*rows), engine_ns
