"""The newest state of the run, ready to be published."""

from dataclasses import dataclass, field

from edge.contracts.messages import Live, LiveField
from edge.contracts.records import FieldRecord, FieldStatus, Record, RunStart, RunStop
from edge.telemetry.snapshot import Vitals


@dataclass(frozen=True, slots=True)
class Latest:
    """What the newest records say. Never changed, only replaced: any thread may hold one without a lock."""

    fields: dict[FieldStatus, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    wbc_total: int = 0
    last_field: FieldRecord | None = None

    def after(self, record: Record) -> "Latest":
        """What holds once `record` has followed. Records without counts change nothing."""
        match record:
            case FieldRecord():
                running = record.running
                return Latest(running.fields, running.cells, running.wbc_total, record)
            case RunStart():
                return Latest()
            case RunStop():
                return Latest(record.fields, record.cells, record.differential.wbc_total, self.last_field)
            case _:
                return self


def live(latest: Latest, vitals: Vitals, *, telemetry_seq: int, boot_id: str, t_ns: int, engine: str, refused: int) -> Live:
    """The message. `refused` are the clients turned away from the telemetry socket itself."""
    return Live(
        telemetry_seq=telemetry_seq,
        boot_id=boot_id,
        t_ns=t_ns,
        phase=vitals.phase,
        run_id=vitals.run_id,
        last_seq=vitals.last_seq,
        lag=vitals.lag,
        fields=latest.fields,
        cells=latest.cells,
        wbc_total=latest.wbc_total,
        open_triggers=vitals.open_triggers,
        last_field=latest.last_field and _essentials(latest.last_field),
        queue_fields=vitals.queue_fields,
        engine=engine,
        sessions=vitals.sessions,
        refused=vitals.refused + refused,
    )


def _essentials(record: FieldRecord) -> LiveField:
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
