"""Records the edge journals and sends: run_start, field, advice, event, run_stop. Each has a gap-free `seq` within its run.

Every trigger ends in exactly one `FieldStatus`; at the end of a run the sums must match.
"""

from enum import Enum
from typing import Literal

from pydantic import Field

from edge.contracts.base import Count, Fraction, Int64, Last, Sha256, Wire
from edge.contracts.choices import HintTaken, Policy
from edge.contracts.engine_files import Gate
from edge.contracts.run_order import RunOrder
from edge.contracts.stage_geometry import StageGeometry
from edge.contracts.stop_state import RaisedFlag, StopResult, StopState


class FieldStatus(str, Enum):
    """Terminal status of one trigger. Late, extra and duplicate frames are events, never statuses."""

    OK = "ok"
    """processed, at least one cell over threshold"""
    EMPTY = "empty"
    """processed, no cell over threshold"""
    LOST = "lost"
    """the frame never came: camera counter or link"""
    INCOMPLETE = "incomplete"
    """the frame came damaged from the camera"""
    FAILED = "failed"
    """the frame could not be read or processed; never the same as zero cells"""
    TIMEOUT = "timeout"
    """its deadline passed"""
    SKIPPED = "skipped"
    """dropped by policy or by a stop"""


class RunOutcome(str, Enum):
    """How a run ended; `exit_code` is what `leuko-edge run` returns."""

    COMPLETED = "completed"
    """the source ended or the asked number of fields was reached"""
    STOPPED = "stopped"
    """the controller or the operator stopped it; everything taken in was accounted for"""
    FAILED = "failed"
    """source, engine or ledger failed; the detail says which"""
    INTERRUPTED = "interrupted"
    """the edge itself went down in mid-run"""

    @property
    def exit_code(self) -> int:
        return {"completed": 0, "stopped": 0, "failed": 1, "interrupted": 1}[self.value]


class StagePosition(Wire):
    """Stage position of the image centre in nanometres: in a TRIGGER where the scanner put the stage, in a record where the
    field was taken, as the source says, or as its TRIGGER said."""

    x_nm: Int64
    y_nm: Int64
    z_nm: Int64 | None = Field(None, description="focus; null when it is not known")


class Detection(Wire):
    """One cell, one label."""

    label: str = Field(description="class name, or `unidentified` / `unidentified_non_wbc`")
    best_class: str = Field(description="the most likely class even when the label is `unidentified`")
    is_wbc: bool
    score: Fraction = Field(description="class score of `best_class`")
    presence: Fraction = Field(description="that a cell of any class is here")
    margin: Fraction = Field(description="lead of `best_class` over `runner_up`")
    runner_up: str | None = None
    box_px: tuple[float, float, float, float] = Field(
        description="x1 y1 x2 y2 in pixels of the original frame; x2, y2 exclusive"
    )
    size_um: tuple[float, float] = Field(description="width, height of the box")
    touches_border: bool = False
    probability: Fraction | None = Field(
        None, description="that `best_class` is right, as measured on labelled cells of this instrument; null without such"
    )
    centre_stage: StagePosition | None = None


class StageTimes(Wire):
    """Milliseconds that one field spent in each stage; monotonic clock."""

    acquire_ms: float = Field(ge=0, description="trigger (or read call) to frame in memory")
    queue_ms: float = Field(ge=0, description="waiting for a slot")
    fit_ms: float = Field(ge=0, description="scale check, resampling, copy into the slot")
    batch_ms: float = Field(ge=0, description="waiting for the batch to be closed")
    infer_ms: float = Field(ge=0, description="submit to outputs of its batch")
    postprocess_ms: float = Field(ge=0, description="suppression, labels, counting")
    total_ms: float = Field(ge=0, description="frame in memory to record handed to the journal")


class NetSums(Wire):
    """Sums so far in which a field that was imaged anew stands for the one that it replaces: every place once."""

    replaced: Count = Field(description="fields whose place another one has taken")
    fields: dict[FieldStatus, Count] = Field(description="terminal statuses, of each place that of the field that holds it")
    cells: dict[str, Count] = Field(description="cells per label")
    wbc_total: Count = Field(description="leukocytes, `unidentified` ones included")


class SameCell(Wire):
    """A detection of this field that shows a cell which another field shows, too."""

    detection: Count = Field(description="its place in `detections`, from 0")
    field_index: Count = Field(description="the other field")
    of_detection: Count = Field(description="place in that field's `detections`")
    run_id: str | None = Field(None, description="the other field's run, where this one continues it; null: this run")
    distance_um: float = Field(ge=0, description="between the two views of the cell")


class SlideSums(Wire):
    """Each cell once, although fields overlap. Final: of fields that nothing announced so far can change any more."""

    final_until: Last = Field(description="highest field index whose cells are final; -1 before the first")
    announced_until: Last = Field(description="highest field index that was announced when this was written")
    final: dict[str, Count] = Field(description="cells per label in fields up to `final_until`; they never change again")
    final_wbc: Count
    provisional: dict[str, Count] = Field(description="cells per label of other fields that have ended, as far as is known")
    provisional_wbc: Count
    same_cells: tuple[SameCell, ...] = Field((), description="what this field shows of cells that were seen before")
    left_out: Count = Field(0, description="fields that came out badly so far and whose cells are in none of these sums")
    flags: tuple[str, ...] = Field((), description="names of flags that are raised with all cells so far, final or not")
    stop: StopState | None = Field(None, description="of the order's stop rule; null where RUN_START gave none")


class Running(Wire):
    """Sums over the run, this record included."""

    fields: dict[FieldStatus, Count] = Field(description="terminal statuses so far")
    cells: dict[str, Count] = Field(description="cells per label so far")
    wbc_total: Count = Field(description="leukocytes, `unidentified` ones included")
    net: NetSums | None = Field(None, description="the same without replaced fields; null while no TRIGGER has named one")
    slide: SlideSums | None = Field(
        None, description="each cell once; null while no field has said where on the stage it lies, unless there is an order"
    )


class DifferentialRow(Wire):
    """One line of the differential: share of all WBC with exact binomial (Clopper-Pearson) 95 % limits."""

    label: str
    count: Count
    percent: float = Field(ge=0, le=100)
    low_percent: float = Field(ge=0, le=100)
    high_percent: float = Field(ge=0, le=100)


class Differential(Wire):
    """Over WBC only, `unidentified` in the denominator. `rows` is empty when no WBC was counted."""

    wbc_total: Count
    rows: tuple[DifferentialRow, ...]
    non_wbc_per_100_wbc: dict[str, float] = Field(description="empty when no WBC was counted")


class SlideResult(Wire):
    """The result with each cell counted once."""

    cells: dict[str, Count]
    differential: Differential
    same_cells: Count = Field(description="pairs of detections that were found to be one cell")
    tolerance_um: float = Field(gt=0, description="how far two views of one cell may have been apart")
    run_ids: tuple[str, ...] = Field((), description="runs that this one continues and whose fields are in it, oldest first")
    left_out: Count = Field(0, description="fields that came out badly and whose cells are not in it")
    flags: tuple[RaisedFlag, ...] = Field((), description="what a person should look at")
    nrbc_correction: float | None = Field(
        None,
        gt=0,
        le=1,
        description="a leukocyte count of an analyser that has nucleated red cells in it, times this, is without them; null "
        "without any, or without a leukocyte",
    )
    by_policy: Differential | None = Field(
        None, description="the differential by the order's smudge policy; null where smudge cells are apart"
    )
    stop: StopResult | None = Field(None, description="of the order's stop rule; null where RUN_START gave none")


class NetResult(Wire):
    """The run's result in which a field that was imaged anew stands for the one that it replaces: every place once."""

    replaced: Count = Field(description="fields whose place another one has taken")
    fields: dict[FieldStatus, Count] = Field(description="how the places ended, each as the field that holds it")
    cells: dict[str, Count]
    differential: Differential


class CarriedResult(Wire):
    """The result over this run and those that it continues, each without its replaced fields."""

    run_ids: tuple[str, ...] = Field(description="the runs that are in it, oldest first, this one last")
    missing_run_id: str | None = Field(
        None, description="the run that is continued and whose sums are not in it, since the edge does not hold it"
    )
    fields: dict[FieldStatus, Count] = Field(description="ends of fields; one that a later run repeats is in it twice")
    cells: dict[str, Count]
    differential: Differential


class Provenance(Wire):
    """Everything a result depends on."""

    bundle_id: Sha256
    bundle_name: str
    bundle_trained: bool = Field(description="false for random weights: never diagnostic")
    bundle_signer: str | None = Field(None, description="who signed the bundle; null when no signature was asked for")
    engine: str = Field(description="runtime, version, device and precision")
    engine_precision: str
    engine_precision_gate: Gate | None = Field(
        None,
        description="verdict on this bundle in bf16 on this processor (failed: auto is f32); null: bf16 is no question here",
    )
    engine_hint: HintTaken | None = Field(None, description="of OpenVINO: each field soon, or many per second; null: another")
    engine_key: str | None = Field(None, description="of the compiled engine; null when the bundle's graph itself was run")
    engine_plan_sha256: Sha256 | None = Field(None, description="of the compiled engine's machine code")
    engine_parity: Literal["not_needed", "passed", "waived", "failed"] = Field(
        "not_needed",
        description="whether the compiled engine agreed with the bundle's graph; waived, failed: started all the same",
    )
    profile_sha256: Sha256 | None
    profile_signer: str | None = Field(None, description="who signed the profile; null without one, and when none was asked")
    profile_name: str | None = Field(None, description="as RUN_START named it; null: the edge's own profile, or none")
    colour_transform: str | None = Field(
        None, description="how colours were moved to the bundle's, and the hash of the curves; null: they were not"
    )
    illumination_sha256: Sha256 | None = Field(None, description="of the profile's light that was corrected; null: none was")
    configuration_sha256: Sha256
    leukostream_version: str
    host: str
    source: str
    um_per_px: float = Field(gt=0)
    frame_width_px: Count
    frame_height_px: Count
    camera: dict[str, str] = Field(
        default_factory=dict, description="what the camera says it is and how it is set; empty when it says nothing"
    )
    is_synthetic: bool = Field(description="true when the fields are drawn, not photographed")


class _Record(Wire):
    type: str  # first here, so that it is the first key of every record on the wire
    run_id: str
    seq: Count = Field(description="0, 1, 2, ... within the run, without a gap")
    wall_time: str = Field(description="ISO 8601 UTC; a label, never used for timing")
    boot_id: str | None = Field(
        None, description="of the edge process that wrote it; a record of a run is told from any other by this and its seq"
    )


class RunStart(_Record):
    """First record of a run, seq 0."""

    type: Literal["run_start"] = "run_start"
    cmd_id: str | None = Field(None, description="of the RUN_START that began it")
    slide_id: str | None = None
    sample_id: str | None = None
    continues_run_id: str | None = None
    order: RunOrder | None = Field(None, description="what RUN_START ordered, as the edge has understood it")
    stage: StageGeometry | None = Field(None, description="how images are laid on the stage, where fields say their position")
    policy: Policy
    diagnostic: bool = Field(
        description="false when the policy may drop fields, weights are untrained or the engine has not passed its parity gate"
    )
    fields_expected: Count | None = None
    provenance: Provenance
    settings: dict[str, object] = Field(description="resolved settings with their origin already applied")


class FieldQuality(Wire):
    """What a field looks like, beside its cells."""

    colour_drift: float | None = Field(
        None,
        ge=0,
        description="largest distance of empty slide or red cells from the profile's colours, in optical density; null where "
        "nobody looked, or where not enough of both is seen",
    )
    focus: float | None = Field(
        None,
        ge=0,
        description="sharpness, some 0.15 to 1 in focus and below 0.1 out of it; null where nothing is to be seen",
    )
    brightness: float | None = Field(None, ge=0, le=255, description="of the empty slide, grey levels of green")
    saturated: Fraction | None = Field(None, description="share of overexposed pixels in the worst channel")
    covered: Fraction | None = Field(None, description="share that cells cover; null where they cannot be told from the slide")
    crowding: float | None = Field(
        None,
        ge=0,
        description="mean way through what covers the slide over that through a single red cell, about 1 where all lie alone",
    )
    bad: tuple[str, ...] = Field((), description="what is wrong with the field, in words of the protocol page; empty: nothing")
    left_out: bool = Field(False, description="its cells are in no `slide`, as the order's quality policy says")


class FieldRecord(_Record):
    """One trigger's end: exactly one per trigger."""

    type: Literal["field"] = "field"
    trigger_id: str
    replaces: str | None = Field(
        None, description="the trigger whose place this field takes if it is `counted`, as its TRIGGER said"
    )
    field_index: Count
    frame_id: Int64 | None = Field(None, description="the camera's own counter, unwrapped; null when no frame came")
    source_name: str = Field("", description="file name or other name the source gives this frame")
    status: FieldStatus
    detail: str = Field("", description="one sentence when the status is neither ok nor empty")
    width_px: Count | None = None
    height_px: Count | None = None
    um_per_px: float | None = None
    stage: StagePosition | None = None
    t_host_ns: Int64 = Field(description="host monotonic clock when the frame was in memory")
    t_camera_ns: Int64 | None = None
    clock: Literal["camera", "host"] = "host"
    age_ms: float | None = Field(
        None, ge=0, description="from the frame's arrival at this machine to its being read; null when nobody can tell"
    )
    detections: tuple[Detection, ...] = ()
    counts: dict[str, Count] = Field(default_factory=dict, description="cells per label in this field")
    running: Running
    counted: bool = Field(description="whether this field's cells entered the running counts")
    overflow: bool = Field(False, description="more candidates than the graph returns: cells may be missing")
    quality: FieldQuality | None = Field(None, description="null when nothing was looked for")
    times: StageTimes | None = None
    batch: Count | None = Field(
        None,
        description="number of the engine's batch, from 0 within the run: fields with one number were computed together, in "
        "the order of their records; null when the engine was not given the field",
    )


class Advice(_Record):
    """What the edge recommends to the scanner."""

    type: Literal["advice"] = "advice"
    advice: Literal["pause", "resume", "stop"]
    reason: str
    final: bool | None = Field(
        None, description="of `stop`: true when it never changes again, false when it may be taken back; null of others"
    )
    field_index: Count | None = Field(None, description="of `stop`: the field with which a limit of the order held")


class Event(_Record):
    """Something worth knowing that is not the end of a field."""

    type: Literal["event"] = "event"
    severity: Literal["info", "warning", "error"]
    code: str
    message: str
    field_index: Count | None = None
    doubt: str | None = Field(None, description="what of it speaks against the result of the run; `run_stop` says it again")


class SourceStatistics(Wire):
    """What a source counted during the run; what became of its frames is in `fields`."""

    delivered: Count = Field(description="frames that came whole")
    lost: Count = Field(0, description="exposures that the camera counted and that never came, or that its loss has cost")
    incomplete: Count = Field(0, description="frames that came damaged")
    underruns: Count = Field(0, description="frames for which the driver had no buffer: they were not read fast enough")
    driver: dict[str, Count] = Field(default_factory=dict, description="what the driver counts besides, by its own names")
    while_paused: Count = Field(0, description="frames that came while the run was paused: they belong to no field")


class RunStop(_Record):
    """Last record of a run."""

    type: Literal["run_stop"] = "run_stop"
    outcome: RunOutcome
    detail: str = ""
    triggers: Count = Field(description="triggers issued")
    fields: dict[FieldStatus, Count] = Field(description="how they ended")
    sums_match: bool = Field(
        description="each trigger has its field on record and `triggers` is the sum of `fields`; false is a defect to report"
    )
    cells: dict[str, Count]
    differential: Differential
    duration_s: float = Field(ge=0)
    source: SourceStatistics | None = Field(None, description="what the source says of the run; null when it could not tell")
    doubts: tuple[str, ...] = Field(
        (), description="what speaks against this result although the run came to its end, such as cells of an impossible size"
    )
    net: NetResult | None = Field(None, description="the result without replaced fields; null when no TRIGGER has named one")
    carried: CarriedResult | None = Field(
        None, description="over the runs that this one continues; null when it continues none"
    )
    slide: SlideResult | None = Field(
        None,
        description="each cell once, although fields overlap; null when no field has said where on the stage it lies, unless "
        "there was an order",
    )


Record = RunStart | FieldRecord | Advice | Event | RunStop
