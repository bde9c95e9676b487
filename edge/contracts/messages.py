"""Messages of wire protocol 1: of sessions (HELLO ... PONG), what the telemetry socket publishes (live), and the unions of
everything that crosses each socket."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from edge.contracts.about_edge import EdgeInfo, Finding, Health
from edge.contracts.base import Count, Int64, Last, Open, Wire
from edge.contracts.records import (
    Advice,
    CarriedResult,
    Event,
    FieldRecord,
    FieldStatus,
    NetSums,
    RunStart,
    RunStop,
    StagePosition,
    StageTimes,
)
from edge.contracts.run_order import RunOrder

PROTOCOL_VERSION = 1

Encoding = Literal["json", "msgpack"]
Role = Literal["controller", "observer"]


Name = Annotated[str, Field(min_length=1, max_length=128)]
"""A name that the controller gives: of a run, a trigger, a command, itself."""


SERVICE_STATE = (
    "of the process: BOOT, READY, RUNNING, DRAINING, FAULT, and later ones; null: an edge that is older than this key"
)
SERVICE_REASON = "in FAULT what is wrong and what to do; null or empty where nothing is to be said"


class Resume(Wire):
    """Where a returning controller wants to go on."""

    run_id: Name
    next_seq: Count
    boot_id: Name | None = Field(None, description="of the last record that it holds; null when it holds none")


class AnyHello(Wire):
    """What a HELLO holds in every version of the protocol."""

    type: Literal["HELLO"] = "HELLO"
    proto: Count = PROTOCOL_VERSION
    encodings: tuple[Name, ...] = ("json",)
    role: Role = "controller"
    client_id: Name


class Hello(AnyHello):
    """First message of a client."""

    resume: Resume | None = None
    attempt: Int64 | None = Field(
        None, description="rises from HELLO to HELLO of one client_id: one with a smaller number than the newest is not served"
    )


class RunInfo(Wire):
    """A run the edge still holds."""

    run_id: str
    next_seq: Count = Field(description="seq the next record will get")
    finished: bool
    open_triggers: Count = Field(0, description="announced or taken in, and not ended yet")
    open_trigger_ids: tuple[str, ...] = Field((), description="of those that were announced")
    trigger_until: Count | None = Field(None, description="as in CREDIT; null when the source paces itself")
    acknowledged: Last | None = Field(None, description="the greatest `upto_seq` that a controller has sent; -1: none")
    first_seq: Count | None = Field(None, description="the first record that is still held")
    paused: bool = Field(False, description="PAUSE was accepted, and no CONTINUE since")


class Welcome(Wire):
    """The session is open; `encoding` is what both sides use from the next message on."""

    type: Literal["WELCOME"] = "WELCOME"
    proto: Count = PROTOCOL_VERSION
    encoding: Encoding
    boot_id: str = Field(description="changes with every start of the edge process")
    server_version: str
    role: Role
    runs: tuple[RunInfo, ...] = Field(
        (), description="64 at most: those that a controller does not hold whole, then the newest, oldest first"
    )
    runs_held: Count | None = Field(None, description="how many runs the edge holds; QUERY with `from_run` asks for all")
    edge: EdgeInfo | None = None
    service_state: str | None = Field(None, description=SERVICE_STATE)
    service_reason: str | None = Field(None, description=SERVICE_REASON)


RejectCode = Literal[
    "protocol",
    "encoding",
    "busy",
    "malformed",
    "state",
    "unknown_type",
    "too_large",
    "unknown_run",
    "rate",
    "superseded",
    "other_history",
    "ending",
]


class Reject(Wire):
    """The message was refused; `reason` says why and what to do."""

    type: Literal["REJECT"] = "REJECT"
    code: Open[RejectCode]
    reason: str
    proto_supported: Count = PROTOCOL_VERSION
    refused_type: str | None = Field(None, description="`type` of the message that is refused, where it could be read")
    cmd_id: str | None = Field(None, description="of the command that is refused: it was not done and may be sent again")
    run_id: str | None = Field(None, description="the run that is spoken of")
    upto_seq: Last | None = Field(None, description="of the ACK that is refused; with `ending` the last seq acknowledged")
    first_seq: Count | None = Field(None, description="with `unknown_run`: the first record of that run that is still held")
    next_seq: Count | None = Field(None, description="of that run: the seq that its next record will get")


class RunStartCommand(Wire):
    """Start a run. The controller names it."""

    type: Literal["RUN_START"] = "RUN_START"
    cmd_id: Name
    run_id: Name
    slide_id: Name | None = None
    sample_id: Name | None = None
    continues_run_id: Name | None = None
    max_fields: Count | None = None
    order: RunOrder | None = Field(None, description="when to advise the end, what becomes of bad fields, and of smudge cells")
    profile: Name | None = Field(
        None,
        description="that goes with the optics in use, by its name in the edge's settings; null: the edge's own",
    )


class TriggerCommand(Wire):
    """Announce one exposure: the pulse waits for ACCEPTED, by when the trigger is in the journal.

    `field_index` rises from trigger to trigger, also where a field is imaged anew. `stage` is where the scanner put the stage.
    """

    type: Literal["TRIGGER"] = "TRIGGER"
    cmd_id: Name
    run_id: Name
    trigger_id: Name
    field_index: Count
    stage: StagePosition | None = None
    replaces: Name | None = Field(None, description="a trigger of this run that has ended: this exposure is to take its place")


class RunStopCommand(Wire):
    """Stop a run: what was taken in is finished, then `run_stop` follows."""

    type: Literal["RUN_STOP"] = "RUN_STOP"
    cmd_id: Name
    run_id: Name


class PauseCommand(Wire):
    """Hold a run: no further credit for triggers, and no frame of a source that paces itself becomes a field."""

    type: Literal["PAUSE"] = "PAUSE"
    cmd_id: Name
    run_id: Name


class ContinueCommand(Wire):
    """End the pause of a run."""

    type: Literal["CONTINUE"] = "CONTINUE"
    cmd_id: Name
    run_id: Name


class AbortCommand(Wire):
    """End a run at once: what has not ended ends as `skipped`, then `run_stop` follows."""

    type: Literal["ABORT"] = "ABORT"
    cmd_id: Name
    run_id: Name


class Query(Wire):
    """Ask for a run's state, for a page of all runs, or how the edge is; answered by STATE."""

    type: Literal["QUERY"] = "QUERY"
    cmd_id: Name
    run_id: Name | None = None
    from_run: Count | None = Field(
        None, description="64 runs at most from this one on, the oldest that is held being 0; without it as in WELCOME"
    )
    ask: tuple[Name, ...] = Field((), max_length=16, description="`health`, `doctor`: what STATE is to say besides")


class State(Wire):
    """Answer to QUERY."""

    type: Literal["STATE"] = "STATE"
    cmd_id: str
    runs: tuple[RunInfo, ...]
    fields: dict[FieldStatus, Count] = Field(default_factory=dict)
    runs_held: Count | None = Field(None, description="as in WELCOME")
    health: Health | None = Field(None, description="null unless it was asked for")
    doctor: tuple[Finding, ...] | None = Field(None, description="null unless it was asked for")
    net: NetSums | None = Field(
        None, description="as in `running` of `field`; null, too, when more than one run is answered for"
    )
    carried: CarriedResult | None = Field(
        None, description="as in `run_stop`, so far; null, too, when more than one run is answered for"
    )
    service_state: str | None = Field(None, description="as in WELCOME")
    service_reason: str | None = Field(None, description="as in WELCOME")


class Ack(Wire):
    """Cumulative: everything up to and including `upto_seq` is safe with the controller (-1: nothing yet).

    `send_until_seq` is absolute credit: the edge may send records with seq below it.
    """

    type: Literal["ACK"] = "ACK"
    run_id: Name
    upto_seq: Last
    send_until_seq: Count


class Ping(Wire):
    """Either side, any time; answered by PONG with the same nonce."""

    type: Literal["PING"] = "PING"
    nonce: Int64
    t_ns: Int64


class Pong(Wire):
    """Answer to PING, with the answering side's clock and, from the edge, its state."""

    type: Literal["PONG"] = "PONG"
    nonce: Int64
    t_ns: Int64
    boot_id: str | None = None
    state: str = ""
    last_seq: Last | None = None
    lag: Count | None = Field(None, description="records journalled but not acknowledged")
    service_state: str | None = Field(None, description="as in WELCOME")
    service_reason: str | None = Field(None, description="as in WELCOME")


class Accepted(Wire):
    """The command is done or will be; repeating it gives the same answer."""

    type: Literal["ACCEPTED"] = "ACCEPTED"
    cmd_id: str
    trigger_until: Count | None = Field(None, description="as in CREDIT; null when the source paces itself")


class Credit(Wire):
    """How many triggers of a run may be announced in all; sent whenever the number has grown."""

    type: Literal["CREDIT"] = "CREDIT"
    run_id: str
    trigger_until: Count = Field(description="absolute: as many TRIGGERs may be sent from the beginning of the run")


RejectedCode = Literal[
    "state",
    "busy",
    "unknown_run",
    "duplicate_run",
    "unsupported",
    "credit",
    "duplicate_trigger",
    "complete",
    "invalid",
    "duplicate_command",
    "unknown_trigger",
    "not_finished",
    "already_replaced",
    "not_counted",
]


class Rejected(Wire):
    """The command was refused."""

    type: Literal["REJECTED"] = "REJECTED"
    cmd_id: str
    code: Open[RejectedCode]
    reason: str


class LiveField(Wire):
    """The essentials of the run's newest `field` record."""

    seq: Count
    trigger_id: str
    field_index: Count
    status: FieldStatus
    counts: dict[str, Count] = Field(description="cells per label in this field")
    overflow: bool
    t_host_ns: Int64 = Field(description="host monotonic clock when the frame was in memory")
    times: StageTimes | None = Field(description="null unless the field went all the way")


class Live(Wire):
    """How the edge stands at one moment. A newer one replaces it whole, and a reader that is slow misses some.

    Fields and cells are the run's sums so far, not what was added since the last message: a gap loses no count.
    """

    type: Literal["live"] = "live"
    proto: Count = PROTOCOL_VERSION
    telemetry_seq: Count = Field(description="0, 1, 2, ... within a boot_id; a gap shows messages that were missed")
    boot_id: str = Field(description="changes with every start of the edge process, as in WELCOME")
    t_ns: Int64 = Field(description="host monotonic clock when this message was made")
    phase: str = Field(description="of the run: waiting, running, stopping, finished")
    run_id: str | None = Field(description="null until a run was accepted")
    last_seq: Count | None = Field(description="seq of the newest run's last record, as in PONG")
    lag: Count | None = Field(description="records of that run that no controller has acknowledged")
    fields: dict[FieldStatus, Count] = Field(description="how the run's triggers ended so far")
    cells: dict[str, Count] = Field(description="cells per label so far")
    wbc_total: Count = Field(description="leukocytes, `unidentified` ones included")
    open_triggers: Count = Field(description="not ended yet")
    last_field: LiveField | None = Field(description="null until the run's first field has ended")
    queue_fields: Count = Field(description="fields that wait for the engine")
    engine: str = Field(description="runtime, version, device and precision")
    sessions: Count = Field(description="controllers and observers with a session")
    refused: Count = Field(description="clients turned away for want of a key since this process started")
    paused: bool = Field(False, description="as in WELCOME")
    net: NetSums | None = Field(None, description="as in `running` of `field`")
    service_state: str | None = Field(None, description="as in WELCOME")
    service_reason: str | None = Field(None, description="as in WELCOME")


RunCommand = RunStartCommand | TriggerCommand | RunStopCommand | PauseCommand | ContinueCommand | AbortCommand
"""What only a controller may send, answered by ACCEPTED or REJECTED."""

ToEdge = Annotated[
    Hello
    | RunStartCommand
    | TriggerCommand
    | RunStopCommand
    | PauseCommand
    | ContinueCommand
    | AbortCommand
    | Query
    | Ack
    | Ping
    | Pong,
    Field(discriminator="type"),
]
FromEdge = Annotated[
    Welcome | Reject | Accepted | Rejected | Credit | State | Ping | Pong | RunStart | FieldRecord | Advice | Event | RunStop,
    Field(discriminator="type"),
]
TO_EDGE: TypeAdapter[ToEdge] = TypeAdapter(ToEdge)
FROM_EDGE: TypeAdapter[FromEdge] = TypeAdapter(FromEdge)
TELEMETRY: TypeAdapter[Live] = TypeAdapter(Live)
"""It is lossy by design: whoever counts, counts records, never these."""
