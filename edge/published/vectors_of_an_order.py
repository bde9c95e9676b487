"""Golden vectors of a run with an order: what `run_start` repeats of it, where its stop rule stands, the advice, the result."""

from edge.contracts.base import Wire
from edge.contracts.records import (
    Advice,
    Differential,
    DifferentialRow,
    Event,
    FieldRecord,
    FieldStatus,
    Running,
    RunOutcome,
    RunStart,
    RunStop,
    SameCell,
    SlideResult,
    SlideSums,
)
from edge.contracts.stage_geometry import StageGeometry
from edge.contracts.stop_state import RaisedFlag, StopReached, StopResult, StopState
from edge.published.vectors_to_edge import BOOT, EARLIER_RUN, LARGEST_COUNT, LARGEST_INT64, ORDER, PROVENANCE, RUN, WALL

_REACHED = StopReached(reason="limit_width", field_index=LARGEST_COUNT, run_id=EARLIER_RUN, wbc=200)
_EARLIER = StopReached(reason="time", field_index=0, run_id=EARLIER_RUN, wbc=0)
_DIFFERENTIAL = Differential(wbc_total=0, rows=(), non_wbc_per_100_wbc={})

OF_AN_ORDER: dict[str, Wire] = {
    "run_start_of_an_order": RunStart(
        run_id=RUN,
        seq=0,
        wall_time=WALL,
        boot_id=BOOT,
        cmd_id="c-1",
        continues_run_id=EARLIER_RUN,
        order=ORDER,
        stage=StageGeometry(um_per_px=((0.13, -1e-7), (1e-7, 0.13)), sigma_um=0.25),
        policy="lossless",
        diagnostic=False,
        provenance=PROVENANCE,
        settings={},
    ),
    "field_of_an_order": FieldRecord(
        run_id=RUN,
        seq=1,
        wall_time=WALL,
        boot_id=BOOT,
        trigger_id="t-0",
        field_index=0,
        status=FieldStatus.EMPTY,
        t_host_ns=LARGEST_INT64,
        running=Running(
            fields={FieldStatus.EMPTY: 1},
            cells={},
            wbc_total=0,
            slide=SlideSums(
                final_until=0,
                announced_until=0,
                final={},
                final_wbc=0,
                provisional={},
                provisional_wbc=0,
                same_cells=(SameCell(detection=0, field_index=0, of_detection=0, run_id=EARLIER_RUN, distance_um=0.5),),
                left_out=LARGEST_COUNT,
                flags=("blast", "a flag of a later version"),
                stop=StopState(provisional=_REACHED, final=_EARLIER),
            ),
        ),
        counted=True,
    ),
    "advice_stop_provisional": Advice(
        run_id=RUN,
        seq=2,
        wall_time=WALL,
        boot_id=BOOT,
        advice="stop",
        reason="200 leukocytes were ordered and are counted, some of it in fields that are not final yet.",
        final=False,
        field_index=LARGEST_COUNT,
    ),
    "advice_stop_final": Advice(
        run_id=RUN,
        seq=3,
        wall_time=WALL,
        boot_id=BOOT,
        advice="stop",
        reason="200 leukocytes were ordered and are counted, with field 0: this is final.",
        final=True,
        field_index=0,
    ),
    "event_reimage_suggested": Event(
        run_id=RUN,
        seq=3,
        wall_time=WALL,
        boot_id=BOOT,
        severity="warning",
        code="reimage_suggested",
        message="field 0 came out badly: blurred (sharpness 0.1, below 0.2); image it anew.",
        field_index=0,
    ),
    "event_stop_withdrawn": Event(
        run_id=RUN,
        seq=4,
        wall_time=WALL,
        boot_id=BOOT,
        severity="warning",
        code="stop_withdrawn",
        message="a limit of the order that seemed to be reached is not.",
    ),
    "run_stop_of_an_order": RunStop(
        run_id=RUN,
        seq=5,
        wall_time=WALL,
        boot_id=BOOT,
        outcome=RunOutcome.STOPPED,
        triggers=1,
        fields={FieldStatus.EMPTY: 1},
        sums_match=True,
        cells={},
        differential=_DIFFERENTIAL,
        duration_s=0.25,
        slide=SlideResult(
            cells={},
            differential=_DIFFERENTIAL,
            same_cells=0,
            tolerance_um=3.0,
            run_ids=(EARLIER_RUN,),
            left_out=1,
            flags=(RaisedFlag(flag="nrbc", value=0.1 + 0.2, limit=1e-7, unit="per_100_leukocytes", source="chosen here"),),
            nrbc_correction=100 / 103,
            by_policy=Differential(
                wbc_total=LARGEST_COUNT,
                rows=(
                    DifferentialRow(
                        label="lymphocyte", count=LARGEST_COUNT, percent=100.0, low_percent=100.0, high_percent=100.0
                    ),
                ),
                non_wbc_per_100_wbc={"nrbc": 1e-7},
            ),
            stop=StopResult(final=_EARLIER, wbc=LARGEST_COUNT, overshoot_wbc=LARGEST_COUNT, overshoot_fields=1),
        ),
    ),
}
"""Message per file name, with values in the keys that may be null."""
