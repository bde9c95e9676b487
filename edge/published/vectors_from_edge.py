"""Golden vectors of what the edge sends: the journalled records (run_start, field in every status, advice, event, run_stop) and
the messages of a session, in one table."""

from edge.contracts.base import Wire
from edge.contracts.messages import Accepted, Credit, Ping, Pong, Reject, Rejected, RunInfo, State, Welcome
from edge.contracts.records import (
    Advice,
    CarriedResult,
    Detection,
    Differential,
    DifferentialRow,
    Event,
    FieldRecord,
    FieldStatus,
    NetResult,
    NetSums,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
    SourceStatistics,
    StagePosition,
    StageTimes,
)
from edge.published.vector_parts import (
    BEYOND_DOUBLES,
    BOOT,
    EARLIER_RUN,
    LARGEST_COUNT,
    LARGEST_INT64,
    NOTHING_COUNTED,
    PROVENANCE,
    RUN,
    SLIDE,
    SMALLEST_INT64,
    record,
)
from edge.published.vectors_of_an_edge import OF_AN_EDGE
from edge.published.vectors_of_an_order import OF_AN_ORDER

_ON_A_GPU = PROVENANCE.model_copy(
    update={
        "engine": "TensorRT 10.13 on NVIDIA RTX A2000, f16",
        "engine_precision": "f16",
        "engine_key": "tensorrt-10.13.0-sm86-732x574-b8-0123abcd",
        "engine_plan_sha256": "c" * 64,
        "engine_parity": "passed",
        "profile_sha256": "d" * 64,
        "bundle_signer": "lab-1",
        "profile_signer": "lab-2",
        "is_synthetic": False,
    }
)
_NEUTROPHIL = Detection(
    label="neutrophil_segmented",
    best_class="neutrophil_segmented",
    is_wbc=True,
    score=0.1 + 0.7,
    presence=1.0,
    margin=0.1,
    runner_up="neutrophil_band",
    box_px=(301.5, 120.0, 396.5, 211.0),
    size_um=(12.35, 11.83),
    centre_stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000),
)
_UNIDENTIFIED = Detection(
    label="unidentified",
    best_class="monocyte",
    is_wbc=True,
    score=0.41,
    presence=0.97,
    margin=1e-7,
    runner_up="lymphocyte_reactive",
    box_px=(0.0, 20.0, 130.25, 141.0),
    size_um=(16.9325, 15.73),
    touches_border=True,
    centre_stage=StagePosition(x_nm=SMALLEST_INT64, y_nm=LARGEST_INT64),
)
_SMUDGE = Detection(
    label="smudge",
    best_class="smudge",
    is_wbc=False,
    score=0.5,
    presence=0.5,
    margin=0.5,
    box_px=(600.0, 400.0, 732.0, 574.0),
    size_um=(17.16, 22.62),
    touches_border=True,
)


def _field(seq: int, status: FieldStatus, running: Running, **changed: object) -> FieldRecord:
    known: dict[str, object] = {
        "trigger_id": f"t-{seq - 1}",
        "field_index": seq - 1,
        "status": status,
        "t_host_ns": 81_234_567_891_001,
        "running": running,
        "counted": status is FieldStatus.OK or status is FieldStatus.EMPTY,
    }
    return record(FieldRecord, seq, **(known | changed))


def _running(cells: dict[str, int], wbc_total: int, **fields: int) -> Running:
    return Running(fields={FieldStatus(name): count for name, count in fields.items()}, cells=cells, wbc_total=wbc_total)


_FRAME: dict[str, object] = {"width_px": 732, "height_px": 574, "um_per_px": 0.13, "source_name": "field-0"}
_TIMES = StageTimes(acquire_ms=1, queue_ms=0, fit_ms=1e-7, batch_ms=0.1, infer_ms=15.5, postprocess_ms=0.3, total_ms=15.9)
_CELLS = {"neutrophil_segmented": 2, "unidentified": 1, "smudge": 1}
_FIELDS = {"ok": 2, "empty": 1, "lost": 1, "incomplete": 1, "failed": 1, "timeout": 1, "skipped": 1}


def _so_far(last: str) -> Running:
    """After the first field that ended as `last`, when the fields with cells were the first two."""
    names = list(_FIELDS)
    return _running(_CELLS, 3, **{name: _FIELDS[name] for name in names[: names.index(last) + 1]})


_RECORDS: dict[str, Wire] = {
    "run_start": record(
        RunStart,
        0,
        cmd_id="c-1",
        slide_id="S-2041",
        sample_id="0815",
        policy="lossless",
        diagnostic=False,
        fields_expected=200,
        provenance=PROVENANCE,
        settings={"source": "virtual:seed=42", "max_batch": 1, "max_delay_ms": 5.0, "journal": None},
    ),
    "run_start_on_a_gpu": record(
        RunStart,
        0,
        slide_id=SLIDE,
        continues_run_id=EARLIER_RUN,
        policy="latest",
        diagnostic=False,
        fields_expected=LARGEST_COUNT,
        provenance=_ON_A_GPU,
        settings={},
    ),
    "field": _field(
        1,
        FieldStatus.OK,
        _running({"neutrophil_segmented": 1}, 1, ok=1),
        **_FRAME,
        frame_id=0,
        stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000),
        detections=(_NEUTROPHIL,),
        counts={"neutrophil_segmented": 1},
        times=_TIMES,
    ),
    "field_with_several_cells": _field(
        2,
        FieldStatus.OK,
        _so_far("ok"),
        **_FRAME,
        frame_id=BEYOND_DOUBLES,
        stage=StagePosition(x_nm=SMALLEST_INT64, y_nm=LARGEST_INT64),
        t_camera_ns=2**62 + 3,
        clock="camera",
        detections=(_NEUTROPHIL, _UNIDENTIFIED, _SMUDGE),
        counts={"neutrophil_segmented": 1, "unidentified": 1, "smudge": 1},
        overflow=True,
        times=_TIMES,
        batch=41,
    ),
    "field_empty": _field(3, FieldStatus.EMPTY, _so_far("empty"), **_FRAME, frame_id=2, times=_TIMES),
    "field_lost": _field(4, FieldStatus.LOST, _so_far("lost"), detail="the camera's counter went from 3 to 5."),
    "field_incomplete": _field(
        5,
        FieldStatus.INCOMPLETE,
        _so_far("incomplete"),
        **_FRAME,
        frame_id=LARGEST_INT64,
        detail="the camera sent 573 of 574 lines.",
    ),
    "field_failed": _field(
        6,
        FieldStatus.FAILED,
        _so_far("failed"),
        source_name="Größe 5 µm/視野.png",
        detail='"C:\\scans\\Größe 5 µm\\視野.png" is no image;\tsave it again 🩸.',
    ),
    "field_timeout": _field(7, FieldStatus.TIMEOUT, _so_far("timeout"), detail="no frame came within 500 ms."),
    "field_skipped": _field(8, FieldStatus.SKIPPED, _so_far("skipped"), detail="the run was stopped before its turn."),
    "field_extreme": _field(
        LARGEST_COUNT,
        FieldStatus.EMPTY,
        _running({"monocyte": LARGEST_COUNT}, LARGEST_COUNT, empty=LARGEST_COUNT),
        **_FRAME,
        frame_id=SMALLEST_INT64,
        t_host_ns=LARGEST_INT64,
        t_camera_ns=SMALLEST_INT64,
    ),
    "field_that_replaces": _field(
        12,
        FieldStatus.OK,
        _running({"neutrophil_segmented": 2}, 2, ok=2, lost=1).model_copy(
            update={
                "net": NetSums(
                    replaced=1, fields={FieldStatus.OK: 1, FieldStatus.LOST: 1}, cells={"neutrophil_segmented": 1}, wbc_total=1
                )
            }
        ),
        **_FRAME,
        frame_id=12,
        replaces="t-0",
        stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000, z_nm=-LARGEST_INT64),
        detections=(_NEUTROPHIL,),
        counts={"neutrophil_segmented": 1},
        times=_TIMES,
    ),
    "advice": record(Advice, 9, advice="stop", reason="200 leukocytes were counted."),
    "advice_pause": record(Advice, 3, advice="pause", reason="4,096 records wait to be acknowledged."),
    "advice_resume": record(Advice, 4, advice="resume", reason="2,048 records wait."),
    "event": record(
        Event,
        10,
        severity="warning",
        code="grey_converted",
        message="視野-0.png is a grey image and was converted.",
        field_index=0,
    ),
    "event_of_no_field": record(Event, 4, severity="warning", code="camera_lost", message="The link is down."),
    "run_stop": record(
        RunStop,
        11,
        outcome=RunOutcome.COMPLETED,
        triggers=sum(_FIELDS.values()),
        fields={FieldStatus(name): count for name, count in _FIELDS.items()},
        sums_match=True,
        cells=_CELLS,
        differential=Differential(
            wbc_total=3,
            rows=(
                DifferentialRow(
                    label="neutrophil_segmented",
                    count=2,
                    percent=200 / 3,
                    low_percent=9.429932405024608,
                    high_percent=99.15962413403874,
                ),
                DifferentialRow(
                    label="unidentified",
                    count=1,
                    percent=100 / 3,
                    low_percent=0.8403758659612636,
                    high_percent=90.57006759497538,
                ),
            ),
            non_wbc_per_100_wbc={"smudge": 100 / 3, "nrbc": 0.0},
        ),
        duration_s=0.1 + 0.2,
    ),
    "run_stop_with_replaced_and_carried": record(
        RunStop,
        LARGEST_COUNT,
        outcome=RunOutcome.STOPPED,
        detail="the controller asked for it",
        triggers=3,
        fields={FieldStatus.OK: 2, FieldStatus.LOST: 1},
        sums_match=True,
        cells={"smudge": 2},
        differential=NOTHING_COUNTED,
        duration_s=1.5,
        source=SourceStatistics(delivered=2, lost=1, while_paused=LARGEST_COUNT),
        net=NetResult(
            replaced=1, fields={FieldStatus.OK: 1, FieldStatus.LOST: 1}, cells={"smudge": 1}, differential=NOTHING_COUNTED
        ),
        carried=CarriedResult(
            run_ids=(EARLIER_RUN, RUN),
            missing_run_id="a run before",
            fields={FieldStatus.OK: 2, FieldStatus.LOST: 1},
            cells={"smudge": 2},
            differential=NOTHING_COUNTED,
        ),
    ),
    "run_stop_without_a_cell": record(
        RunStop,
        1,
        outcome=RunOutcome.INTERRUPTED,
        detail="The edge process was killed; nothing was counted.",
        triggers=0,
        fields={},
        sums_match=True,
        cells={},
        differential=NOTHING_COUNTED,
        duration_s=0,
    ),
}
"""Record per file name; the first of a type is the ordinary one."""

_RUNNING = RunInfo(run_id=RUN, next_seq=7, finished=False, open_triggers=2, open_trigger_ids=("t-4", "t-5"), trigger_until=22)
_FINISHED = RunInfo(run_id=EARLIER_RUN, next_seq=LARGEST_COUNT, finished=True)

FROM_EDGE_VECTORS: dict[str, Wire] = {
    "welcome": Welcome(encoding="json", boot_id=BOOT, server_version="0.1.0", role="controller", runs=(_FINISHED, _RUNNING)),
    "welcome_without_runs": Welcome(encoding="msgpack", boot_id=BOOT, server_version="0.1.0", role="observer"),
    "reject": Reject(code="busy", reason='controller "Gerät-2" holds the lease of this edge; stop that controller first.'),
    "reject_protocol": Reject(code="protocol", reason="this edge speaks wire protocol 1 and the client asked for 2."),
    "accepted": Accepted(cmd_id="2", trigger_until=64),
    "accepted_self_paced": Accepted(cmd_id="1"),
    "rejected": Rejected(cmd_id="2", code="credit", reason="64 triggers were announced, as many as may be; wait for CREDIT."),
    "rejected_replaced": Rejected(
        cmd_id="6",
        code="already_replaced",
        reason="trigger 't-0' was replaced by 't-5'; name that one to image the place anew.",
    ),
    "credit": Credit(run_id=RUN, trigger_until=65),
    "credit_extreme": Credit(run_id=RUN, trigger_until=LARGEST_COUNT),
    "state": State(cmd_id="4", runs=(_RUNNING,), fields={FieldStatus.OK: 4, FieldStatus.LOST: LARGEST_COUNT}),
    "state_net_and_carried": State(
        cmd_id="4",
        runs=(_RUNNING.model_copy(update={"paused": True}),),
        fields={FieldStatus.OK: 2},
        net=NetSums(replaced=1, fields={FieldStatus.OK: 1}, cells={}, wbc_total=0),
        carried=CarriedResult(run_ids=(RUN,), fields={FieldStatus.OK: 1}, cells={}, differential=NOTHING_COUNTED),
    ),
    "state_without_runs": State(cmd_id="5", runs=()),
    "ping": Ping(nonce=8, t_ns=81_234_567_890_100),
    "pong": Pong(nonce=7, t_ns=81_234_567_890_999, boot_id=BOOT, state="running", last_seq=6, lag=2),
    "pong_before_any_run": Pong(nonce=LARGEST_INT64, t_ns=SMALLEST_INT64, boot_id=BOOT, state="waiting"),
    "pong_extreme": Pong(
        nonce=SMALLEST_INT64, t_ns=BEYOND_DOUBLES, boot_id=BOOT, state="running", last_seq=LARGEST_COUNT, lag=LARGEST_COUNT
    ),
    **_RECORDS,
    **OF_AN_EDGE,
    **OF_AN_ORDER,
}
"""Message per file name; the first of a type is the ordinary one."""
