"""One filled-in example of every message and record of the wire."""

from leukostream.edge.contracts.base import Wire
from leukostream.edge.contracts.messages import (
    Accepted,
    Ack,
    Credit,
    Hello,
    Ping,
    Pong,
    Query,
    Reject,
    Rejected,
    Resume,
    RunInfo,
    RunStartCommand,
    RunStopCommand,
    State,
    TriggerCommand,
    Welcome,
)
from leukostream.edge.contracts.records import (
    Advice,
    Detection,
    Differential,
    DifferentialRow,
    Event,
    FieldRecord,
    Provenance,
    Running,
    RunStart,
    RunStop,
    StagePosition,
    StageTimes,
)
from leukostream.edge.contracts.status import FieldStatus, RunOutcome

RUN = "3f8e1c0a-0000-4000-8000-000000000001"
WALL = "2026-01-01T00:00:00.000Z"
STAGE = StagePosition(x_nm=-(2**62), y_nm=2**53 + 1)
INFO = RunInfo(run_id=RUN, next_seq=7, finished=False, open_triggers=2, open_trigger_ids=("t-4", "t-5"), trigger_until=22)

_DETECTION = Detection(
    label="unidentified",
    best_class="monocyte",
    is_wbc=True,
    score=0.41,
    presence=0.97,
    margin=0.02,
    runner_up="lymphocyte_reactive",
    box_px=(10.5, 20.0, 130.25, 141.0),
    size_um=(15.6, 15.7),
    touches_border=True,
    centre_stage=STAGE,
)
_TIMES = StageTimes(acquire_ms=1, queue_ms=0, fit_ms=0.2, batch_ms=5, infer_ms=15.5, postprocess_ms=0.3, total_ms=21)
_RUNNING = Running(fields={FieldStatus.OK: 1, FieldStatus.FAILED: 1}, cells={"unidentified": 1}, wbc_total=1)
_DIFFERENTIAL = Differential(
    wbc_total=1,
    rows=(DifferentialRow(label="unidentified", count=1, percent=100, low_percent=2.5, high_percent=100),),
    non_wbc_per_100_wbc={"nrbc": 0.0},
)
_PROVENANCE = Provenance(
    bundle_id="a" * 64,
    bundle_name="example",
    bundle_trained=True,
    engine="openvino 2026.4 on CPU, f32",
    engine_precision="f32",
    profile_sha256=None,
    configuration_sha256="b" * 64,
    leukostream_version="0.1.0",
    host="bench",
    source="virtual:seed=42",
    um_per_px=0.13,
    frame_width_px=732,
    frame_height_px=574,
    is_synthetic=True,
)

TO_EDGE_EXAMPLES: tuple[Wire, ...] = (
    Hello(client_id="scanner-1", encodings=("msgpack", "json"), resume=Resume(run_id=RUN, next_seq=3)),
    RunStartCommand(cmd_id="1", run_id=RUN, slide_id="S-1", max_fields=200),
    TriggerCommand(cmd_id="2", run_id=RUN, trigger_id="t-0", field_index=0, stage=STAGE),
    RunStopCommand(cmd_id="3", run_id=RUN),
    Query(cmd_id="4"),
    Ack(run_id=RUN, upto_seq=-1, send_until_seq=64),
    Ping(nonce=2**63 - 1, t_ns=2**60 + 1),
    Pong(nonce=-(2**63), t_ns=0),
)

FROM_EDGE_EXAMPLES: tuple[Wire, ...] = (
    Welcome(encoding="json", boot_id="boot", server_version="0.1.0", role="controller", runs=(INFO,)),
    Reject(code="busy", reason="Another controller holds the lease."),
    Accepted(cmd_id="2", trigger_until=64),
    Rejected(cmd_id="2", code="credit", reason="Wait for credit."),
    Credit(run_id=RUN, trigger_until=2**53 - 1),
    State(cmd_id="4", runs=(INFO,), fields={FieldStatus.OK: 4}),
    Ping(nonce=1, t_ns=2),
    Pong(nonce=1, t_ns=3, boot_id="boot", state="running", last_seq=6, lag=2),
    RunStart(
        run_id=RUN,
        seq=0,
        wall_time=WALL,
        slide_id="S-1",
        policy="lossless",
        diagnostic=False,
        fields_expected=2,
        provenance=_PROVENANCE,
        settings={"max_batch": 1},
    ),
    FieldRecord(
        run_id=RUN,
        seq=1,
        wall_time=WALL,
        trigger_id="t-0",
        field_index=0,
        frame_id=2**53 + 1,
        source_name="field-0",
        status=FieldStatus.OK,
        width_px=732,
        height_px=574,
        um_per_px=0.13,
        stage=STAGE,
        t_host_ns=2**62 + 1,
        t_camera_ns=2**62 + 3,
        clock="camera",
        detections=(_DETECTION,),
        counts={"unidentified": 1},
        running=_RUNNING,
        counted=True,
        times=_TIMES,
    ),
    Advice(run_id=RUN, seq=2, wall_time=WALL, advice="stop", reason="200 leukocytes were counted."),
    Event(run_id=RUN, seq=3, wall_time=WALL, severity="warning", code="converted", message="Grey images are converted."),
    RunStop(
        run_id=RUN,
        seq=4,
        wall_time=WALL,
        outcome=RunOutcome.COMPLETED,
        triggers=2,
        fields={FieldStatus.OK: 1, FieldStatus.FAILED: 1},
        sums_match=True,
        cells={"unidentified": 1},
        differential=_DIFFERENTIAL,
        duration_s=1.5,
    ),
)
