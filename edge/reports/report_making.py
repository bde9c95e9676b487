"""A run's records and what people have said of its cells, made into a report."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edge.contracts.cells import CELLS, UNIDENTIFIED
from edge.contracts.errors import JournalError
from edge.contracts.records import (
    Advice,
    Detection,
    Event,
    FieldRecord,
    FieldStatus,
    Record,
    RunOutcome,
    RunStart,
    RunStop,
    StagePosition,
)
from edge.contracts.run_order import RunOrder
from edge.counting import differential
from edge.counting.result_flags import nrbc_correction, raised_flags
from edge.counting.stop_rule import adjusted
from edge.journal.reviews import Review
from edge.reports.added_cells import cells_added
from edge.reports.cells_once import CellsOnce, Place, cell_id
from edge.reports.run_report import (
    NOT_FROM_A_JOURNAL,
    Basis,
    Chain,
    Judgement,
    Remark,
    Report,
    ReportedCell,
    ReportedField,
    ReportedSums,
    State,
)
from edge.watch.record_text import flag_text, marks, order_text

_WBC = frozenset({*(cell.name for cell in CELLS if cell.is_wbc), UNIDENTIFIED})
_CORRECTED = "count_corrected"
_AS_IT_SHOULD = (RunOutcome.COMPLETED, RunOutcome.STOPPED)


def report_of(
    records: Iterable[Record],
    judgements: Mapping[str, Judgement] | None = None,
    chain: Chain | None = None,
    reviews: Sequence[Review] = (),
) -> Report:
    """The report of one run, from its records in order; a run that has not ended may be given as far as it is.

    `judgements` by cell id, each the last one of its cell; `reviews` are those from which cells were added. Raises
    `JournalError` when the records do not begin with a run's first one.
    """
    taken = _Taken()
    for record in records:
        taken.take(record)
    if taken.start is None:
        raise JournalError("these records do not begin with a run_start, so nobody can say what they are of; give them whole.")
    return taken.report(taken.start, judgements or {}, chain, reviews)


class _Taken:
    """What of the records goes into the report, in one pass."""

    def __init__(self) -> None:
        self.start: RunStart | None = None
        self.stop: RunStop | None = None
        self.last: FieldRecord | None = None
        self.fields: list[ReportedField] = []
        self.found: list[tuple[int, tuple[Detection, ...]]] = []
        """what was counted in each field, by field index"""
        self.remarks: list[Remark] = []
        self.n_records = 0
        self._once = CellsOnce()

    def take(self, record: Record) -> None:
        if self.start is None and not isinstance(record, RunStart):
            return
        self.n_records += 1
        if isinstance(record, RunStart):
            self.start = self.start or record
        elif isinstance(record, FieldRecord):
            self.fields.append(reported_field(record))
            self.found.append((record.field_index, record.detections if record.counted else ()))
            self._once.add(record)
            self.last = record
        elif isinstance(record, RunStop):
            self.stop = record
            self.remarks += [_remark("doubt", "warning", "doubt", doubt, record.wall_time) for doubt in record.doubts]
        else:
            self.remarks.append(remark_of(record))

    def report(
        self, start: RunStart, judgements: Mapping[str, Judgement], chain: Chain | None, reviews: Sequence[Review]
    ) -> Report:
        stop = self.stop
        chain = chain or Chain(is_whole=None, verdict=NOT_FROM_A_JOURNAL, records=self.n_records)
        fields = tuple(
            one.model_copy(update={"replaced": True}) if one.field_index in self._once.replaced else one for one in self.fields
        )
        found = tuple(self._cells(judgements))
        cells = (*found, *cells_added(reviews, {one.field_index: one for one in fields}, judgements))
        sums = sums_of(self.stop, self.last)
        listed = dict(Counter(cell.label for cell in found if cell.counts))
        earlier = self.stop.slide.run_ids if self.stop is not None and self.stop.slide is not None else ()
        if earlier:
            what = f"the result is over {', '.join(earlier)} and this run; the cells that are listed one by one are this run's"
            self.remarks.append(_remark("report", "info", "continued", what, ""))
        elif listed != {label: n for label, n in sums[0].cells.items() if n}:
            what = f"the run says {sums[0].cells}, and its cells one by one are {listed}: what the run says stands"
            self.remarks.append(_remark("report", "warning", "cells_disagree", what, ""))
        if any(cell.judgement is not None for cell in cells):
            sums.insert(0, counted_sums("reviewed", _reviewed(sums[0].cells, cells)))
        if start.order is not None and start.order.smudges != "apart":
            sums.insert(1, counted_sums("policy", adjusted(sums[0].cells, start.order)))
        why = self._why_provisional(chain)
        is_judged = sums[0].basis == "reviewed"
        state: State = "provisional" if why else "reviewed" if is_judged else "final"
        return Report(
            run_id=start.run_id,
            slide_id=start.slide_id,
            sample_id=start.sample_id,
            continues_run_id=start.continues_run_id,
            state=state,
            why=why,
            marks=tuple(marks(start)),
            outcome=stop.outcome.value if stop else None,
            detail=stop.detail if stop else "",
            began=start.wall_time,
            ended=stop.wall_time if stop else None,
            duration_s=stop.duration_s if stop else None,
            result=sums[0],
            beside=tuple(sums[1:]),
            triggers=stop.triggers if stop else len(self.fields),
            field_ends=_counted_ends(stop.fields if stop else self.last.running.fields if self.last else {}),
            stop=order_text(stop.slide.stop) if stop is not None and stop.slide is not None and stop.slide.stop else "",
            flags=tuple(_flags(sums[0].cells, start.order)),
            remarks=tuple(self.remarks),
            fields=fields,
            cells=cells,
            provenance=start.provenance,
            profile=_text(start.settings, "profile"),
            kept_frames=_text(start.settings, "keep_frames"),
            kept_crops=_text(start.settings, "keep_crops"),
            chain=chain,
        )

    def _why_provisional(self, chain: Chain) -> str:
        stop = self.stop
        if chain.is_whole is False:
            return f"the records are not those that were written ({chain.verdict})"
        if stop is None:
            return "the run has not ended"
        if not stop.sums_match:
            return "the fields do not add up to the triggers: a defect of the edge"
        if stop.outcome not in _AS_IT_SHOULD:
            return f"the run ended as {stop.outcome.value}"
        return ""

    def _cells(self, judgements: Mapping[str, Judgement]) -> Iterable[ReportedCell]:
        stands_for, earlier = self._once.stands_for(), self._once.of_earlier_runs()
        said: dict[Place, Judgement] = {}
        for place, best in stands_for.items():  # of several views the one that was judged last
            heard = judgements.get(cell_id(place))
            if heard is not None and (best not in said or heard.number > said[best].number):
                said[best] = heard
        for index, detections in self.found:
            for number, found in enumerate(detections):
                place = (index, number)
                stands = stands_for.get(place)
                yield ReportedCell(
                    id=cell_id(place),
                    field_index=index,
                    **found.model_dump(exclude={"centre_stage"}),
                    stage_um=_um(found.centre_stage),
                    counts=stands == place,
                    same_as=None if stands is None or stands == place else cell_id(stands),
                    of_earlier_run=place in earlier,
                    judgement=judgements.get(cell_id(place)) if stands is None else said.get(stands),
                )


def sums_of(stop: RunStop | None, last: FieldRecord | None) -> list[ReportedSums]:
    """Of the ways in which a run was counted those that apply, the one that stands for its result first.

    `last` is its newest field; `stop` is None while it has not ended.
    """
    running = last.running if last else None
    found: list[ReportedSums] = []
    if stop is not None and stop.slide is not None:
        found.append(ReportedSums(basis="slide", cells=stop.slide.cells, differential=stop.slide.differential))
    elif running is not None and running.slide is not None:  # a run that has not ended, or whose edge went down
        found.append(counted_sums("slide", Counter(running.slide.final) + Counter(running.slide.provisional)))
    if stop is not None and stop.net is not None:
        found.append(ReportedSums(basis="net", cells=stop.net.cells, differential=stop.net.differential))
    elif stop is None and running is not None and running.net is not None:
        found.append(counted_sums("net", running.net.cells))
    if stop is not None:
        found.append(ReportedSums(basis="raw", cells=stop.cells, differential=stop.differential))
    else:
        found.append(counted_sums("raw", running.cells if running else {}))
    if stop is not None and stop.carried is not None:
        found.append(ReportedSums(basis="carried", cells=stop.carried.cells, differential=stop.carried.differential))
    return found


def reported_field(record: FieldRecord) -> ReportedField:
    """The end of one trigger; whether another field has taken its place is not known yet."""
    return ReportedField(
        field_index=record.field_index,
        trigger_id=record.trigger_id,
        source_name=record.source_name,
        status=record.status,
        detail=record.detail,
        counted=record.counted,
        replaced=False,
        overflow=record.overflow,
        bad=record.quality.bad if record.quality else (),
        left_out=record.quality is not None and record.quality.left_out,
        stage_um=_um(record.stage),
        width_px=record.width_px,
        height_px=record.height_px,
        um_per_px=record.um_per_px,
        n_cells=len(record.detections),
        n_wbc=sum(one.label in _WBC for one in record.detections),
        wall_time=record.wall_time,
    )


def counted_sums(basis: Basis, cells: Mapping[str, int]) -> ReportedSums:
    """With the differential of these cells."""
    return ReportedSums(basis=basis, cells={label: n for label, n in cells.items() if n}, differential=differential(cells))


def _reviewed(sent: Mapping[str, int], cells: Iterable[ReportedCell]) -> Counter[str]:
    """What was sent, with every cell that a person has judged called as they say, and those that they have added."""
    now = Counter(sent)
    for cell in cells:
        if cell.counts and (cell.added or cell.label_now != cell.label):
            now[cell.label] -= not cell.added
            if cell.label_now is not None:
                now[cell.label_now] += 1
    return +now


def _counted_ends(fields: Mapping[FieldStatus, int]) -> dict[FieldStatus, int]:
    return {status: fields[status] for status in FieldStatus if fields.get(status)}


def remark_of(record: Event | Advice) -> Remark:
    """What the run has on record beside its fields."""
    if isinstance(record, Advice):
        return _remark("advice", "info", record.advice, record.reason, record.wall_time)
    kind = "correction" if record.code == _CORRECTED else "event"
    return _remark(kind, record.severity, record.code, record.message, record.wall_time, record.field_index)


def _remark(kind: Any, severity: Any, code: str, message: str, wall_time: str, field_index: int | None = None) -> Remark:  # noqa: ANN401
    return Remark(kind=kind, severity=severity, code=code, message=message, wall_time=wall_time, field_index=field_index)


def _flags(cells: Mapping[str, int], order: RunOrder | None) -> Iterable[str]:
    """What a person should look at in these sums, by the limits of this version."""
    for raised in raised_flags(cells, order):
        yield f"{flag_text(raised)}, {raised.source}"
    if (factor := nrbc_correction(cells, order)) is not None:
        yield f"nucleated red cells: an analyser's leukocyte count that has them in it, times {factor:.3f}, is without them"


def _um(stage: StagePosition | None) -> tuple[float, float] | None:
    return None if stage is None else (stage.x_nm / 1e3, stage.y_nm / 1e3)


def _text(settings: Mapping[str, object], key: str) -> str | None:
    value = settings.get(key)
    return value if isinstance(value, str) else None
