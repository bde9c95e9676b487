"""Golden vectors of what the telemetry socket publishes."""

from edge.contracts.base import Wire
from edge.contracts.messages import Live, LiveField
from edge.contracts.records import FieldStatus, NetSums, StageTimes
from edge.published.vector_parts import LARGEST_COUNT, LARGEST_INT64, RUN

_BOOT = "0d9a3a3e-7c57-4f0a-8f0e-2a0d6a1f9c33"
_ENGINE = "OpenVINO 2026.4.1 on CPU, bf16"

TELEMETRY_VECTORS: dict[str, Wire] = {
    "live": Live(
        telemetry_seq=412,
        boot_id=_BOOT,
        t_ns=81_234_567_891_999,
        phase="running",
        run_id=RUN,
        last_seq=132,
        lag=2,
        fields={FieldStatus.OK: 120, FieldStatus.EMPTY: 10, FieldStatus.FAILED: 1},
        cells={"neutrophil_segmented": 81, "lymphocyte": 40, "monocyte": 9, "smudge": 3},
        wbc_total=130,
        open_triggers=3,
        last_field=LiveField(
            seq=131,
            trigger_id="t-130",
            field_index=130,
            status=FieldStatus.OK,
            counts={"neutrophil_segmented": 1},
            overflow=False,
            t_host_ns=81_234_567_891_001,
            times=StageTimes(
                acquire_ms=1.5, queue_ms=0, fit_ms=0.3, batch_ms=0.1, infer_ms=14.9, postprocess_ms=0.4, total_ms=15.7
            ),
        ),
        queue_fields=1,
        engine=_ENGINE,
        sessions=2,
        refused=0,
    ),
    "live_before_any_run": Live(
        telemetry_seq=0,
        boot_id=_BOOT,
        t_ns=0,
        phase="waiting",
        run_id=None,
        last_seq=None,
        lag=None,
        fields={},
        cells={},
        wbc_total=0,
        open_triggers=0,
        last_field=None,
        queue_fields=0,
        engine=_ENGINE,
        sessions=0,
        refused=0,
    ),
    "live_extreme": Live(
        telemetry_seq=LARGEST_COUNT,
        boot_id=_BOOT,
        t_ns=LARGEST_INT64,
        phase="finished",
        run_id=RUN,
        last_seq=LARGEST_COUNT,
        lag=LARGEST_COUNT,
        fields={FieldStatus.LOST: LARGEST_COUNT},
        cells={"unidentified": LARGEST_COUNT},
        wbc_total=LARGEST_COUNT,
        open_triggers=LARGEST_COUNT,
        last_field=LiveField(
            seq=LARGEST_COUNT,
            trigger_id="t",
            field_index=LARGEST_COUNT,
            status=FieldStatus.LOST,
            counts={},
            overflow=False,
            t_host_ns=LARGEST_INT64,
            times=None,
        ),
        queue_fields=LARGEST_COUNT,
        engine=_ENGINE,
        sessions=LARGEST_COUNT,
        refused=LARGEST_COUNT,
        paused=True,
        net=NetSums(
            replaced=LARGEST_COUNT, fields={FieldStatus.LOST: LARGEST_COUNT}, cells={"smudge": 1}, wbc_total=LARGEST_COUNT
        ),
        service_state="FAULT",
        service_reason="journal /data/journal.sqlite has no room for more records; free space on its disk.",
    ),
}
"""Message per file name; the first is the ordinary one."""
