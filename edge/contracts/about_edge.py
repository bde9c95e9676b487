"""What an edge says about itself: what it is, in WELCOME, and how it is, in answer to a QUERY that asks for it."""

from typing import Literal

from pydantic import Field

from edge.contracts.base import Count, Int64, Sha256, Wire
from edge.contracts.choices import HintTaken
from edge.contracts.engine_files import Gate


class EdgeLimits(Wire):
    """What this edge takes, and how long it waits. null: no limit of its own."""

    runs: Count = Field(
        1,
        description="runs that one process performs; for another one the process is started again. 2^53 - 1: one after the "
        "other, as many as come",
    )
    message_bytes: Count = Field(description="of a message to the edge; above it REJECT `too_large`")
    messages_per_s: float = Field(description="of one client on average; twice as many may come at once")
    silent_after_s: float = Field(description="a session from which nothing was heard for so long is lost")
    max_fields: Count | None = Field(None, description="of a run; the smaller of this and RUN_START's holds")
    trigger_window: Count | None = Field(
        None, description="triggers that may be open at a time; null when the source paces itself"
    )
    trigger_timeout_s: float | None = Field(
        None, description="no frame for so long after its trigger: `timeout`; null when the source paces itself"
    )
    pause_after_records: Count | None = Field(None, description="so many records without ACK: `advice` `pause`")
    ack_timeout_s: float | None = Field(None, description="after `run_stop`: no ACK for so long, and the process ends")


class EdgeInfo(Wire):
    """What an edge is, before any run. Where `provenance` of run_start has the same key, it means the same."""

    bundle_id: Sha256
    bundle_name: str
    bundle_trained: bool = Field(description="false for random weights: never diagnostic")
    engine: str = Field(description="runtime, version, device and precision")
    engine_precision: str
    engine_precision_gate: Gate | None = Field(
        None,
        description="verdict on this bundle in bf16 on this processor (failed: auto is f32); null: bf16 is no question here",
    )
    engine_hint: HintTaken | None = Field(None, description="of OpenVINO: each field soon, or many per second; null: another")
    source: str
    paced_by: Literal["itself", "triggers"] = Field(description="whether each exposure is announced by TRIGGER")
    um_per_px: float = Field(gt=0, description="of the source's frames, in runs that name no profile")
    frame_width_px: Count
    frame_height_px: Count
    is_synthetic: bool = Field(description="true when the fields are drawn, not photographed")
    camera: dict[str, str] = Field(
        default_factory=dict, description="what the camera says it is and how it is set; empty when it says nothing"
    )
    capabilities: tuple[str, ...] = Field(
        (),
        description="message types that this edge takes, `query:` and a word that QUERY may ask for, and `camera:` abilities",
    )
    limits: EdgeLimits
    profiles: tuple[str, ...] = Field((), description="names that RUN_START may give as its `profile`")


class Health(Wire):
    """How an edge is at one moment. null where nobody can tell."""

    t_ns: Int64 = Field(description="host monotonic clock when this was looked at")
    uptime_s: float = Field(ge=0, description="of the edge process")
    journal: str = Field(description="its file; `memory` when it has none")
    journal_free_mb: float | None = Field(None, description="free on its disk, in 10^6 bytes; null when it is in memory")
    journal_trouble: str = Field("", description="why no more can be recorded, in one sentence; empty while all is well")
    lag: Count | None = Field(None, description="records of the newest run without acknowledgement, as in PONG")
    temperature_c: dict[str, float] = Field(
        default_factory=dict,
        description="by the names that the system gives its sensors; empty when it has none",
    )
    camera: str | None = Field(None, description="what the source last said of itself, an event's message; null: nothing")
    camera_code: str | None = Field(None, description="that event's code")
    engine: str = Field(description="runtime, version, device and precision")
    queue_fields: Count = Field(0, description="fields that wait for the engine")
    phase: str = Field(description="of the run: waiting, running, stopping, finished")


class Finding(Wire):
    """One thing that `leuko-edge doctor` found."""

    name: str
    text: str = Field(description="what it is; when it is not usable, why")
    usable: bool = True
