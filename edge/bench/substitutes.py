"""What stands in for a part that is not measured: an engine that takes no time, a run without camera and engine."""

import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge.camera.correction import Correction
from edge.camera.frame import Frame
from edge.contracts.cells import CELLS
from edge.contracts.detections import Image, RawDetections
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Detection, FieldRecord, FieldStatus, Provenance, RunOutcome, RunStart, RunStop
from edge.contracts.version import VERSION
from edge.engine.base import Engine
from edge.pipeline import Parts
from edge.pipeline.field_work import FieldJob, Marks
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_account import RunAccount
from edge.postprocess import Findings
from edge.settings import EdgeSettings

EMPTY_SHARE = 0.85
"""Of fields; most of a thin smear show no leukocyte."""

_WIDTH_PX, _HEIGHT_PX, _UM_PER_PX = 732, 574, 0.13
_POOL = 500
_MAX_CELLS = 3
_MS = 1_000_000


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


def finds_nothing(parts: Parts) -> Parts:
    """The same with a stand-in engine: it takes no time and finds nothing, so that only camera and loop are measured."""
    n = parts.plan.n_tiles
    nothing = RawDetections(np.zeros((n, 1, 4), np.float32), np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int32))
    engine = ReplayEngine(parts.engine, [nothing])
    engine.info = replace(
        parts.engine.info, runtime="stand-in", version="that finds nothing", device="CPU", precision="no arithmetic"
    )
    return replace(parts, engine=engine)


def drawn_up_correction() -> Correction:
    """Of light and colours, as a profile might have one: what it costs does not depend on its values."""
    shade = tuple(((1.0, 0.9, 0.8), (0.95, 0.98, 0.85), (0.8, 0.9, 0.75)) for _ in range(3))
    curves = (np.arange(256)[:, None] / 255) ** np.array([0.9, 1.1, 1.05]) * 255
    return Correction(shade, np.asarray(np.rint(curves), np.uint8), "drawn up", None)


class StandInRun:
    """Makes the records of one run, each when it is asked for; fields that are not empty hold one to three cells."""

    def __init__(self, order: RunStartCommand, n_fields: int, seed: int = 1) -> None:
        self._order = order
        self._n_fields = n_fields
        self._ledger = Ledger()
        self._recorder = RunAccount(order.run_id, self._ledger)
        draw = random.Random(seed)
        self._pool = [_findings(draw) for _ in range(_POOL)]
        self._next = 0

    def start(self) -> RunStart:
        settings = EdgeSettings(source="stand-in")
        provenance = Provenance(
            bundle_id="0" * 64,
            bundle_name="stand-in",
            bundle_trained=False,
            engine="stand-in: no engine, findings drawn beforehand",
            engine_precision="none",
            profile_sha256=None,
            configuration_sha256=settings.sha256(),
            leukostream_version=VERSION,
            host="",
            source=settings.source,
            um_per_px=_UM_PER_PX,
            frame_width_px=_WIDTH_PX,
            frame_height_px=_HEIGHT_PX,
            is_synthetic=True,
        )
        return self._recorder.start(self._order, settings, provenance, self._n_fields)

    def field(self) -> FieldRecord:
        """The next field; its `t_host_ns` is the moment of this call."""
        index, self._next = self._next, self._next + 1
        now_ns = time.monotonic_ns()
        trigger_id = str(index)
        self._ledger.issue(trigger_id, index)
        frame = Frame(
            trigger_id, index, "ok", None, _UM_PER_PX, now_ns - _MS, now_ns, frame_id=index, source_name=f"{index:07d}.png"
        )
        findings = self._pool[index % _POOL]
        status = FieldStatus.OK if findings.detections else FieldStatus.EMPTY
        marks = Marks(*(now_ns + stage for stage in (0, 300_000, 400_000, 15_300_000, 15_300_000, 15_700_000)))
        return self._recorder.field(FieldJob(frame, _WIDTH_PX, _HEIGHT_PX, status, findings=findings, marks=marks))

    def stop(self) -> RunStop:
        return self._recorder.stop(RunOutcome.COMPLETED, "", None)


def _findings(draw: random.Random) -> Findings:
    n_cells = 0 if draw.random() < EMPTY_SHARE else draw.randint(1, _MAX_CELLS)
    detections = tuple(_detection(draw) for _ in range(n_cells))
    return Findings(detections, dict(Counter(each.label for each in detections)), overflow=False)


def _detection(draw: random.Random) -> Detection:
    cell, other = draw.sample(CELLS, 2)
    x_px, y_px = draw.uniform(0, _WIDTH_PX - 100), draw.uniform(0, _HEIGHT_PX - 100)
    width_px, height_px = draw.uniform(60, 100), draw.uniform(60, 100)
    return Detection(
        label=cell.name,
        best_class=cell.name,
        is_wbc=cell.is_wbc,
        score=draw.uniform(0.5, 1),
        presence=draw.uniform(0.5, 1),
        margin=draw.uniform(0.1, 1),
        runner_up=other.name,
        box_px=(x_px, y_px, x_px + width_px, y_px + height_px),
        size_um=(width_px * _UM_PER_PX, height_px * _UM_PER_PX),
    )
