"""Golden vectors of what an edge says of itself, and of every key that the ordinary vectors leave at null.

What an edge is before a run (WELCOME), how it is (`health`) and what `leuko-edge doctor` finds (`doctor`), refusals that name
what they answer, and records of a process that says which one it is.
"""

from edge.contracts.about_edge import EdgeInfo, EdgeLimits, Finding, Health
from edge.contracts.base import Wire
from edge.contracts.messages import Pong, Reject, RunInfo, State, Welcome
from edge.contracts.records import (
    Advice,
    CarriedResult,
    Detection,
    Differential,
    DifferentialRow,
    Event,
    FieldQuality,
    FieldRecord,
    FieldStatus,
    NetResult,
    NetSums,
    Provenance,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
    SameCell,
    SlideResult,
    SlideSums,
    SourceStatistics,
    StageTimes,
)
from edge.published.vectors_to_edge import BOOT, EARLIER_RUN, LARGEST_COUNT, LARGEST_INT64, RUN, WALL

_CALIBRATED = Provenance(
    bundle_id="a" * 64,
    bundle_name="example",
    bundle_trained=True,
    engine="OpenVINO 2026.4.1 on CPU, bf16",
    engine_precision="bf16",
    profile_sha256="d" * 64,
    profile_name="Ölimmersion 100x",
    colour_transform="stain curves " + "e" * 64,
    illumination_sha256="f" * 64,
    configuration_sha256="b" * 64,
    leukostream_version="0.1.0",
    host="scanner-1",
    source="aravis:192.168.1.20,trigger=line",
    um_per_px=0.13,
    frame_width_px=732,
    frame_height_px=574,
    camera={"model": "Kamera-µ", "serial": "0042"},
    is_synthetic=False,
)
_ONE_CELL: dict[str, int] = {"neutrophil_segmented": 1}
_DIFFERENTIAL = Differential(
    wbc_total=1,
    rows=(DifferentialRow(label="neutrophil_segmented", count=1, percent=100.0, low_percent=2.5, high_percent=100.0),),
    non_wbc_per_100_wbc={"smudge": 200.0},
)
_CARRIED = CarriedResult(
    run_ids=(EARLIER_RUN, RUN),
    missing_run_id="a run before",
    fields={FieldStatus.OK: 1},
    cells=_ONE_CELL,
    differential=_DIFFERENTIAL,
)
_EDGE = EdgeInfo(
    bundle_id="a" * 64,
    bundle_name="example",
    bundle_trained=True,
    engine="OpenVINO 2026.4.1 on CPU, bf16",
    engine_precision="bf16",
    source="aravis:192.168.1.20,trigger=line",
    paced_by="triggers",
    um_per_px=0.13,
    frame_width_px=732,
    frame_height_px=574,
    is_synthetic=False,
    camera={"model": "Kamera-µ", "serial": "0042"},
    capabilities=("RUN_START", "TRIGGER", "ABORT", "query:health", "camera:trigger_line"),
    limits=EdgeLimits(
        message_bytes=65536,
        messages_per_s=10000.0,
        silent_after_s=5.0,
        max_fields=200,
        trigger_window=16,
        trigger_timeout_s=2.0,
        pause_after_records=10000,
        ack_timeout_s=10.0,
    ),
    profiles=("locate", "Ölimmersion 100x"),
)
_HELD = RunInfo(
    run_id=RUN,
    next_seq=132,
    finished=False,
    open_triggers=1,
    open_trigger_ids=("t-131",),
    trigger_until=147,
    acknowledged=130,
    first_seq=3,
    paused=True,
)

OF_AN_EDGE: dict[str, Wire] = {
    "welcome_with_edge": Welcome(
        encoding="json",
        boot_id=BOOT,
        server_version="0.1.0",
        role="controller",
        runs=(_HELD,),
        runs_held=3000,
        edge=_EDGE,
        service_state="RUNNING",
        service_reason="run 5f0c6a52 is in progress.",
    ),
    "welcome_of_a_faulty_service": Welcome(
        encoding="json",
        boot_id=BOOT,
        server_version="0.1.0",
        role="observer",
        service_state="FAULT",
        service_reason="aravis:192.168.1.20 was lost (no answer); check it. Überprüfen Sie das Kabel.",
    ),
    "pong_of_a_service": Pong(
        nonce=7,
        t_ns=LARGEST_INT64,
        boot_id=BOOT,
        state="running",
        last_seq=131,
        lag=0,
        service_state="RUNNING",
        service_reason="run 5f0c6a52 is in progress.",
    ),
    "state_page": State(
        cmd_id="6",
        runs=(_HELD,),
        runs_held=LARGEST_COUNT,
        service_state="DRAINING",
        service_reason="run 5f0c6a52 ends: the controller asked for it.",
    ),
    "state_health_and_doctor": State(
        cmd_id="7",
        runs=(),
        health=Health(
            t_ns=LARGEST_INT64,
            uptime_s=1e-7,
            journal="/var/lib/leukostream/journal.sqlite",
            journal_free_mb=12345.5,
            journal_trouble="the disk of the journal is full; make room.",
            lag=LARGEST_COUNT,
            temperature_c={"coretemp Package id 0": 61.5, "Gehäuse": -0.5},
            camera="the camera is gone; it is looked for.",
            camera_code="camera_lost",
            engine="OpenVINO 2026.4.1 on CPU, bf16",
            queue_fields=4,
            phase="running",
        ),
        doctor=(
            Finding(name="OpenVINO", text="2026.4.1 on CPU, computes in bf16"),
            Finding(name="GPU", text="none: this machine has no NVIDIA driver.", usable=False),
        ),
    ),
    "state_of_a_run_that_continues": State(
        cmd_id="8",
        runs=(_HELD,),
        fields={FieldStatus.OK: 2},
        net=NetSums(replaced=1, fields={FieldStatus.OK: 1}, cells=_ONE_CELL, wbc_total=1),
        carried=_CARRIED,
    ),
    "state_health_that_nobody_knows": State(
        cmd_id="7",
        runs=(),
        health=Health(t_ns=1, uptime_s=0, journal="memory", engine="OpenVINO 2026.4.1 on CPU, f32", phase="waiting"),
        doctor=(),
    ),
    "reject_names_its_command": Reject(
        code="malformed", reason="`TRIGGER.field_index` is text.", refused_type="TRIGGER", cmd_id="2", run_id=RUN
    ),
    "reject_names_its_ack": Reject(
        code="state", reason="the ACK is ahead of the run.", refused_type="ACK", run_id=RUN, upto_seq=LARGEST_COUNT
    ),
    "reject_names_an_ack_of_nothing": Reject(
        code="unknown_run", reason="this run is not held.", refused_type="ACK", run_id=RUN, upto_seq=-1
    ),
    "reject_first_seq": Reject(
        code="unknown_run",
        reason="records before 64 were acknowledged.",
        refused_type="HELLO",
        run_id=RUN,
        first_seq=64,
        next_seq=132,
    ),
    "reject_other_history": Reject(
        code="other_history", reason="the journal went back in time.", refused_type="HELLO", run_id=RUN, next_seq=13
    ),
    "reject_superseded": Reject(code="superseded", reason="this client opened a newer session; this one is closed."),
    "reject_ending": Reject(code="ending", reason="a controller holds all of this run.", run_id=RUN, upto_seq=203),
    "run_start_calibrated": RunStart(
        run_id=RUN,
        seq=0,
        wall_time=WALL,
        boot_id=BOOT,
        cmd_id="1",
        policy="lossless",
        diagnostic=True,
        provenance=_CALIBRATED,
        settings={"journal_durability": "full"},
    ),
    "field_with_everything": FieldRecord(
        run_id=RUN,
        seq=1,
        wall_time=WALL,
        boot_id=BOOT,
        trigger_id="t-0",
        field_index=0,
        frame_id=0,
        status=FieldStatus.OK,
        width_px=732,
        height_px=574,
        um_per_px=0.13,
        t_host_ns=81_234_567_891_001,
        age_ms=0.4,
        detections=(
            Detection(
                label="neutrophil_segmented",
                best_class="neutrophil_segmented",
                is_wbc=True,
                score=0.94,
                presence=0.97,
                margin=0.9,
                box_px=(301.5, 120.0, 396.5, 211.0),
                size_um=(12.35, 11.83),
                probability=1 - 2**-20,
            ),
        ),
        counts=_ONE_CELL,
        running=Running(
            fields={FieldStatus.OK: 1},
            cells=_ONE_CELL,
            wbc_total=1,
            slide=SlideSums(
                final_until=-1,
                announced_until=LARGEST_COUNT,
                final={"smudge": 1},
                final_wbc=0,
                provisional=_ONE_CELL,
                provisional_wbc=1,
                same_cells=(SameCell(detection=0, field_index=7, of_detection=2, distance_um=1e-7),),
            ),
        ),
        counted=True,
        quality=FieldQuality(
            colour_drift=0.0625,
            focus=0.1,
            brightness=205.0,
            saturated=1e-7,
            covered=0.5,
            crowding=1.25,
            bad=("blurred", "a fault of a later version"),
            left_out=True,
        ),
        times=StageTimes(acquire_ms=1, queue_ms=0, fit_ms=0.25, batch_ms=0.1, infer_ms=15.5, postprocess_ms=0.3, total_ms=17),
    ),
    "advice_of_a_process": Advice(run_id=RUN, seq=2, wall_time=WALL, boot_id=BOOT, advice="resume", reason="0 records wait."),
    "event_of_a_process": Event(
        run_id=RUN, seq=3, wall_time=WALL, boot_id=BOOT, severity="info", code="continued", message="the run goes on."
    ),
    "run_stop_with_everything": RunStop(
        run_id=RUN,
        seq=4,
        wall_time=WALL,
        boot_id=BOOT,
        outcome=RunOutcome.COMPLETED,
        triggers=1,
        fields={FieldStatus.OK: 1},
        sums_match=True,
        cells=_ONE_CELL,
        differential=_DIFFERENTIAL,
        duration_s=0.25,
        source=SourceStatistics(delivered=1, driver={"completed": 1}),
        net=NetResult(replaced=1, fields={FieldStatus.OK: 1}, cells=_ONE_CELL, differential=_DIFFERENTIAL),
        carried=_CARRIED,
        slide=SlideResult(cells=_ONE_CELL, differential=_DIFFERENTIAL, same_cells=1, tolerance_um=3.0),
        doubts=("4 leukocytes counted have a median diameter of 31 µm; measure um/px and repeat the run.", "…"),
    ),
}
"""Message per file name, with values in the keys that may be null."""
