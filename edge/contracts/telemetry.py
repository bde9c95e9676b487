"""What the telemetry socket publishes. It is lossy by design: whoever counts, counts records, never these."""

from typing import Literal

from pydantic import Field, TypeAdapter

from edge.contracts.base import Count, Int64, Wire
from edge.contracts.messages import PROTOCOL_VERSION
from edge.contracts.records import StageTimes
from edge.contracts.status import FieldStatus


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


TELEMETRY: TypeAdapter[Live] = TypeAdapter(Live)
