"""A run without camera and engine: the real answers to commands, and records from a thread as the pipeline writes them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from edge.contracts.records import (
    Detection,
    Differential,
    DifferentialRow,
    FieldRecord,
    FieldStatus,
    Provenance,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
    StageTimes,
)
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.server import EdgeServer

WALL = "2030-01-02T03:04:05Z"


def run_start(run_id: str, slide_id: str | None = None, **provenance: object) -> RunStart:
    known: dict[str, object] = {
        "bundle_id": "b" * 64,
        "bundle_name": "yolov3-tiny-416",
        "bundle_trained": True,
        "engine": "openvino 2025.0 on CPU, bf16",
        "engine_precision": "bf16",
        "profile_sha256": None,
        "configuration_sha256": "c" * 64,
        "leukostream_version": "0.1.0",
        "host": "scanner-7",
        "source": "virtual:seed=42",
        "um_per_px": 0.13,
        "frame_width_px": 732,
        "frame_height_px": 574,
        "is_synthetic": True,
    }
    return RunStart(
        run_id=run_id,
        seq=0,
        wall_time=WALL,
        slide_id=slide_id,
        policy="lossless",
        diagnostic=True,
        provenance=Provenance.model_validate(known | provenance),
        settings={"max_batch": 1},
    )


def field_record(run_id: str, seq: int, status: FieldStatus = FieldStatus.OK, wbc_total: int | None = None) -> FieldRecord:
    """Field number seq - 1, with one segmented neutrophil when it is ok."""
    cell = Detection(
        label="neutrophil_segmented",
        best_class="neutrophil_segmented",
        is_wbc=True,
        score=0.94,
        presence=0.97,
        margin=0.9,
        runner_up="neutrophil_band",
        box_px=(301.5, 120.0, 396.5, 211.0),
        size_um=(12.35, 11.83),
    )
    n_wbc = seq if wbc_total is None else wbc_total
    return FieldRecord(
        run_id=run_id,
        seq=seq,
        wall_time=WALL,
        trigger_id=f"t{seq - 1}",
        field_index=seq - 1,
        frame_id=65401 + seq,
        source_name=f"field-{seq - 1:04d}",
        status=status,
        detail="" if status in {FieldStatus.OK, FieldStatus.EMPTY} else "the file ends in the middle of its pixels",
        width_px=732,
        height_px=574,
        um_per_px=0.13,
        t_host_ns=9_007_199_254_740_993 + seq,
        detections=(cell,) if status is FieldStatus.OK else (),
        counts={"neutrophil_segmented": 1} if status is FieldStatus.OK else {},
        running=Running(fields={FieldStatus.OK: seq}, cells={"neutrophil_segmented": n_wbc}, wbc_total=n_wbc),
        counted=True,
        times=StageTimes(
            acquire_ms=1.5, queue_ms=0.0, fit_ms=0.3, batch_ms=0.1, infer_ms=14.9, postprocess_ms=0.4, total_ms=15.7
        ),
    )


def run_stop(run_id: str, seq: int, outcome: RunOutcome = RunOutcome.COMPLETED) -> RunStop:
    n = seq - 1
    row = DifferentialRow(label="neutrophil_segmented", count=n, percent=100.0, low_percent=69.2, high_percent=100.0)
    return RunStop(
        run_id=run_id,
        seq=seq,
        wall_time=WALL,
        outcome=outcome,
        triggers=n,
        fields={FieldStatus.OK: n},
        sums_match=True,
        cells={"neutrophil_segmented": n} if n else {},
        differential=Differential(wbc_total=n, rows=(row,) if n else (), non_wbc_per_100_wbc={"smudge": 2.0} if n else {}),
        duration_s=1.25,
    )


class ScriptedRun:
    """Writes `n_fields` fields once a run is started, as fast as the journal takes them, or one per `go` when `hold` is set."""

    def __init__(
        self, journal: MemoryJournal, n_fields: int = 20, *, hold: bool = False, outcome: RunOutcome = RunOutcome.COMPLETED
    ) -> None:
        self.control = RunOrders(StopSwitch(), journal)
        self.go = threading.Semaphore(0)
        self.written = threading.Event()
        self._journal = journal
        self._n_fields = n_fields
        self._hold = hold
        self._outcome = outcome
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._perform, name="scripted-run")
        self._thread.start()

    def join(self) -> None:
        self._closing.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _perform(self) -> None:
        accepted = None
        while accepted is None:
            if self._closing.is_set():
                return
            accepted = self.control.wait_for_start(0.05)
        command = accepted.order
        self._journal.append(run_start(command.run_id, command.slide_id))
        seq = 1
        while seq <= self._n_fields and self._may_go_on():
            self._journal.append(field_record(command.run_id, seq))
            seq += 1
        outcome = self._outcome if seq > self._n_fields else RunOutcome.STOPPED
        self._journal.append(run_stop(command.run_id, seq, outcome))
        self.control.finished(accepted)
        self.written.set()

    def _may_go_on(self) -> bool:
        while self._hold and not self.go.acquire(timeout=0.02):
            if self.control.state().phase == "stopping" or self._closing.is_set():
                return False
        return self.control.state().phase != "stopping"


@dataclass
class Edge:
    """A served journal and the run that writes it."""

    server: EdgeServer
    journal: MemoryJournal
    run: ScriptedRun

    @property
    def endpoint(self) -> str:
        return self.server.endpoint


StartEdge = Callable[..., Edge]
