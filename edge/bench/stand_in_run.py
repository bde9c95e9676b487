"""A run without camera and engine: the pipeline's own recorder over findings that were drawn before."""

import random
import time
from collections import Counter

from edge.camera.frame import Frame
from edge.contracts.cells import CELLS
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import Detection, FieldRecord, FieldStatus, Provenance, RunOutcome, RunStart, RunStop
from edge.contracts.version import VERSION
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
