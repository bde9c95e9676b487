"""A run as its records come, one after the other: everything that the page shows of it beside the pictures."""

from collections import Counter, deque
from collections.abc import Mapping

from edge.contracts.records import Advice, Event, FieldRecord, Record, RunStart, RunStop
from edge.reports.cells_once import cell_id
from edge.reports.report_making import remark_of, reported_field, sums_of
from edge.reports.run_report import Remark, Report, ReportedField, ReportedSums
from edge.view.heard import Pace

_MOST_REMARKS = 60
Place = tuple[int, tuple[float, ...]]
"""Field index, and box in its pixels: how a crop says whose it is."""


class FollowedRun:
    """Feed every record in order. Belongs to one thread at a time."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.next_seq = 0
        self.start: RunStart | None = None
        self.stop: RunStop | None = None
        self.last: FieldRecord | None = None
        self.fields: list[ReportedField] = []
        self.ids: dict[Place, str] = {}
        """of every detection that was counted where it stands"""
        self.remarks: deque[Remark] = deque(maxlen=_MOST_REMARKS)
        self.severities: Counter[str] = Counter()
        self.pace = Pace()
        self.report: Report | None = None
        """as `leuko-edge report` has it, of a run that has ended; with what people have said of it"""
        self.n_reviews = 0
        self._sums: ReportedSums | None = None
        self._index_of: dict[str, int] = {}
        self._replaced: set[int] = set()

    def take(self, record: Record) -> None:
        """The next record."""
        self.next_seq += 1
        self._sums = None
        match record:
            case RunStart():
                self.start = record
            case FieldRecord():
                self._take_field(record)
            case RunStop():
                self.stop = record
                for doubt in record.doubts:
                    self._remark(
                        Remark(kind="doubt", severity="warning", code="doubt", message=doubt, wall_time=record.wall_time)
                    )
            case Event() | Advice():
                self._remark(remark_of(record))

    def _take_field(self, record: FieldRecord) -> None:
        self.last = record
        self._index_of[record.trigger_id] = record.field_index
        if record.replaces is not None and record.counted and (other := self._index_of.get(record.replaces)) is not None:
            self._replaced.add(other)
        self.fields.append(reported_field(record))
        for number, one in enumerate(record.detections):
            self.ids[record.field_index, tuple(one.box_px)] = cell_id((record.field_index, number))
        self.pace.add(record.t_host_ns / 1e9, len(self.fields))
        if record.times is not None:
            self.pace.took(record.times.total_ms, record.times.infer_ms)

    def _remark(self, remark: Remark) -> None:
        self.remarks.append(remark)
        self.severities[remark.severity] += 1

    @property
    def sums(self) -> ReportedSums:
        """The result so far, counted in the way that stands for it: of an ended run that of its report."""
        if self.report is not None:
            return self.report.result
        self._sums = self._sums or sums_of(self.stop, self.last)[0]
        return self._sums

    @property
    def field_ends(self) -> Mapping[str, int]:
        """Terminal statuses, as the run's own sums have them."""
        ends = self.stop.fields if self.stop else self.last.running.fields if self.last else {}
        return {status.value: n for status, n in ends.items() if n}

    def drawn_fields(self) -> list[ReportedField]:
        """For the map; those whose place another one has taken are marked."""
        return [one.model_copy(update={"replaced": True}) if one.field_index in self._replaced else one for one in self.fields]

    def setting(self, name: str) -> str | None:
        """A text that the run was told."""
        value = self.start.settings.get(name) if self.start else None
        return value if isinstance(value, str) else None
