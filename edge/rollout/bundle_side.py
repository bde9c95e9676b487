"""One bundle and its engine, opened for the fields of a source as a run would open them, to compute field after field."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from edge.camera.frame import Frame, SourceInfo
from edge.contracts.detections import Image
from edge.engine.base import Engine, EngineInfo
from edge.pipeline.engine_loop import computed_alone
from edge.pipeline.field_correction import correction_for
from edge.pipeline.field_work import CellWork, FieldWork
from edge.pipeline.parts import engine_for
from edge.postprocess import Findings
from edge.settings import Setup


class BundleSide:
    """Computes one field at a time. Belongs to the thread that opened it."""

    def __init__(self, setup: Setup, info: SourceInfo, engine: Engine, work: CellWork) -> None:
        self.setup, self._info, self._engine, self._work = setup, info, engine, work

    @property
    def engine(self) -> EngineInfo:
        return self._engine.info

    def compute(self, frame: Frame, image: Image) -> tuple[Findings, float]:
        """The field's cells, and the milliseconds from its pixels to them.

        Raises `FrameError` for a field that is none of these, and `EngineError`.
        """
        began_ns = time.perf_counter_ns()
        views = list(self._engine.slot(0))
        work: FieldWork = self._work.for_size(image) or self._work
        tiles = [views[0].copy() for _ in range(work.n_tiles)] if work.n_tiles > len(views) else views[: work.n_tiles]
        work.write(frame, image, tiles)
        findings = work.findings(computed_alone(self._engine, 0, views, tiles))
        return findings, (time.perf_counter_ns() - began_ns) / 1e6


@contextmanager
def opened_side(setup: Setup, info: SourceInfo) -> Iterator[BundleSide]:
    """Open the engine of this setup's bundle for fields of this source, and close it.

    Raises any `LeukoError` that says why a run could not be computed by it: a parity gate that was not passed among them.
    """
    engine, plan = engine_for(info, setup.bundle, setup.settings, correction_for(setup))
    try:
        um_per_px, thresholds = setup.bundle.manifest.um_per_px, setup.settings.thresholds or setup.bundle.manifest.thresholds
        yield BundleSide(setup, info, engine, CellWork(info, plan, um_per_px, thresholds, probability=setup.probability))
    finally:
        engine.close()
