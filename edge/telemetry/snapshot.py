"""How the edge stands at one moment: the sums of the newest records, and what nobody records (phase, lag, queue, sessions)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edge.contracts.messages import Live, LiveField
from edge.contracts.records import FieldRecord, FieldStatus, NetSums, Record, RunStart, RunStop
from edge.journal.base import Journal
from edge.pipeline.run_control import READY, Phase, RunControl, Standing
from edge.stream.run_overview import RunOverview
from edge.stream.server import EdgeServer


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the edge at one moment. `last_seq` and `lag` are of the newest run, as in PONG.

    `refused` are clients of the controllers' socket without an allowed key; `rejects` counts REJECT by code.
    """

    phase: Phase
    run_id: str | None
    open_triggers: int
    last_seq: int | None
    lag: int | None
    queue_fields: int
    sessions: int
    refused: int
    rejects: Mapping[str, int]
    paused: bool = False
    service: Standing = READY


TakeSnapshot = Callable[[], Snapshot]
"""Safe to call from any thread; waits for nobody but for the short locks of what it looks at."""


def snapshots_of(control: RunControl, journal: Journal, server: EdgeServer) -> TakeSnapshot:
    """How an edge that serves runs is looked at."""
    runs = RunOverview(journal, control)

    def take() -> Snapshot:
        state = control.state()
        last_seq, lag = runs.last_seq_and_lag()
        return Snapshot(
            phase=state.phase,
            run_id=state.run_id,
            open_triggers=state.open_triggers,
            last_seq=last_seq,
            lag=lag,
            queue_fields=state.queue_fields,
            sessions=server.sessions,
            refused=server.refused,
            rejects=server.rejects,
            paused=state.paused,
            service=state.service,
        )

    return take


@dataclass(frozen=True, slots=True)
class Latest:
    """What the newest records say. Never changed, only replaced: any thread may hold one without a lock."""

    fields: dict[FieldStatus, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    wbc_total: int = 0
    last_field: FieldRecord | None = None
    net: NetSums | None = None

    def after(self, record: Record) -> "Latest":
        """What holds once `record` has followed. Records without counts change nothing."""
        match record:
            case FieldRecord():
                running = record.running
                return Latest(running.fields, running.cells, running.wbc_total, record, running.net)
            case RunStart():
                return Latest()
            case RunStop():
                return Latest(record.fields, record.cells, record.differential.wbc_total, self.last_field, self.net)
            case _:
                return self


def live(latest: Latest, now: Snapshot, *, telemetry_seq: int, boot_id: str, t_ns: int, engine: str, refused: int) -> Live:
    """The message. `refused` are the clients turned away from the telemetry socket itself."""
    return Live(
        telemetry_seq=telemetry_seq,
        boot_id=boot_id,
        t_ns=t_ns,
        phase=now.phase,
        run_id=now.run_id,
        last_seq=now.last_seq,
        lag=now.lag,
        fields=latest.fields,
        cells=latest.cells,
        wbc_total=latest.wbc_total,
        open_triggers=now.open_triggers,
        last_field=latest.last_field and _live_field(latest.last_field),
        queue_fields=now.queue_fields,
        engine=engine,
        sessions=now.sessions,
        refused=now.refused + refused,
        paused=now.paused,
        net=latest.net,
        service_state=now.service.state,
        service_reason=now.service.reason,
    )


def _live_field(record: FieldRecord) -> LiveField:
    return LiveField(
        seq=record.seq,
        trigger_id=record.trigger_id,
        field_index=record.field_index,
        status=record.status,
        counts=record.counts,
        overflow=record.overflow,
        t_host_ns=record.t_host_ns,
        times=record.times,
    )
