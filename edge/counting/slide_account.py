"""Each cell of a slide once: positions of the stage and boxes of fields, as the count across fields needs them.

Fields are laid out as the camera sees them, turned by how it lies over the stage: so the borders of fields are upright, and
what they cut is known. Lengths are um of the camera's pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge.contracts.records import Detection, SameCell, SlideResult, SlideSums, StagePosition
from edge.contracts.run_order import RunOrder
from edge.contracts.stage_geometry import Position, StageGeometry
from edge.contracts.stop_state import StopReached, StopResult, StopState
from edge.counting.cell_registry import Merge, View
from edge.counting.counts import differential, wbc_total
from edge.counting.result_flags import nrbc_correction, raised_flags
from edge.counting.same_cell import Box, Seen
from edge.counting.slide_count import Ended, SlideCount
from edge.counting.stop_rule import StopRule, adjusted, sentence_of

_BORDER_PX = 1.0
_RUN = 2**53
"""More than any field index: fields of an earlier run have keys so far below those of the next."""
_WITHDRAWN = (
    "a limit of the order that seemed to be reached is not: a later field shows that two cells are one, or takes "
    "another's place; go on with the scan."
)

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FieldEnd:
    """What the count across fields needs of a `field` record. `size_px` is (0, 0) of one without an image."""

    field_index: int
    stage_nm: Position | None = None
    """where its trigger was announced, when None"""
    detections: Sequence[Detection] = ()
    size_px: Size = (0, 0)
    t_host_ns: int = 0
    """0 where nobody knows"""
    replaces_index: int | None = None
    """the field whose place this one has taken"""
    left_out: bool = False
    """it came out so badly that its cells do not count"""


@dataclass(frozen=True, slots=True)
class Said:
    """What the run should be told: an event (`corrected`, `withdrawn`) or the advice to stop."""

    what: Literal["corrected", "kept", "withdrawn", "stop"]
    message: str
    reached: StopReached | None = None
    is_final: bool = False


class _FieldClock:
    """How long after the first field each field came, as their records say; over several runs their times together."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._first_ns = 0
        self.last_s = 0.0

    def elapsed_s(self, t_host_ns: int) -> float:
        """Of a field at this time; 0 where nobody knows, which is then that of the last one."""
        if t_host_ns:
            self._first_ns = self._first_ns or t_host_ns
            self.last_s = self._before_s + max(0, t_host_ns - self._first_ns) / 1e9
        return self.last_s

    def next_run(self) -> None:
        """Its clock is another one."""
        self._before_s, self._first_ns = self.last_s, 0


class SlideAccount:
    """The sums of a run in which each cell is counted once. For the thread that counts.

    `announce` triggers before their fields have `ended`; what is to be said besides the sums is taken from `said`.
    """

    def __init__(self, geometry: StageGeometry, width_px: int, height_px: int, order: RunOrder | None = None) -> None:
        self._geometry = geometry
        self._half_px = (width_px / 2, height_px / 2)
        self._order = order
        self._rule = StopRule(order) if order is not None and order.has_rule else None
        self._count = SlideCount(geometry.tolerance_um)
        self._earlier: tuple[str, ...] = ()
        self._base = 0
        """key of field 0 of the run whose fields come; its keys are field index and this together"""
        self._announced_until = -1
        self._has_places = False
        self._n_same = self._n_fields = self._n_left_out = 0
        self._clock = _FieldClock()
        self._elapsed_s: dict[int, float] = {}
        self._provisional: StopReached | None = None
        self._said: list[Said] = []
        self._put: dict[int, Position] = {}
        """where the stage is for fields that have not ended"""
        self._lost: list[int] = []
        """keys of fields that were lost with their edge, and are about to be repeated or not"""

    @property
    def pixel_um(self) -> float:
        return self._geometry.pixel_um

    def placed(self, detections: Sequence[Detection], stage_nm: Position, size_px: Size) -> tuple[Detection, ...]:
        """`detections` of an image of `size_px` taken at `stage_nm`, each with where on the stage its centre is."""
        placed = []
        for one in detections:
            x1, y1, x2, y2 = one.box_px
            x_nm, y_nm = self._geometry.on_stage_nm(stage_nm, ((x1 + x2 - size_px[0]) / 2, (y1 + y2 - size_px[1]) / 2))
            placed.append(one.model_copy(update={"centre_stage": StagePosition(x_nm=x_nm, y_nm=y_nm)}))
        return tuple(placed)

    def announce(self, triggers: Iterable[tuple[int, Position | None]]) -> None:
        """Field index and position of triggers that were entered since the last call."""
        for field_index, stage_nm in triggers:
            self._count.announce(self._base + field_index, None if stage_nm is None else self._area_um(stage_nm))
            self._announced_until = max(self._announced_until, field_index)
            if stage_nm is not None:
                self._put[self._base + field_index] = stage_nm
            self._has_places = self._has_places or stage_nm is not None

    def ended(self, end: FieldEnd) -> SlideSums | None:
        """The sums with this field; None as long as no field has said where it lies, and nothing was ordered."""
        if self._lost and self._base > self._lost[-1]:
            self._end_lost()
        key = self._base + end.field_index
        stage_nm = self._put.pop(key, None)
        stage_nm = end.stage_nm or stage_nm
        if end.replaces_index is not None:
            self._replaced(end.replaces_index)
        self._n_fields += 1
        if self._rule is not None:
            self._elapsed_s[key] = self._clock.elapsed_s(end.t_host_ns)
        views = [
            View(key, number, self._seen(one, stage_nm, end.size_px), one.label, one.presence)
            for number, one in enumerate(() if end.left_out else end.detections)
        ]
        self._n_left_out += end.left_out
        ended = self._count.end(key, views)
        self._n_same += len(ended.merges)
        for one in ended.corrections:
            where = self._named(one.field_index)
            self._said.append(Said("corrected", _correction(where, one.label, one.would_be)))
        self._decide(ended)
        self._look_ahead(end.field_index)
        return self._sums(ended) if self._has_places or self._order is not None else None

    def lost_with_its_edge(self, field_index: int) -> None:
        """A field of an earlier run that its edge has not lived to see. The fields around it wait until the next run's first
        field has ended: by then it has announced those that it repeats, and the count goes on as if nothing had happened."""
        self._lost.append(self._base + field_index)

    def _end_lost(self) -> None:
        lost, self._lost = self._lost, []
        for key in lost:
            self._n_fields += 1
            self._put.pop(key, None)
            if self._rule is not None:
                self._elapsed_s[key] = self._clock.last_s
            self._decide(self._count.end(key))

    def said(self) -> list[Said]:
        """What is to be told, each once."""
        said, self._said = self._said, []
        return said

    def continues(self, run_ids: Sequence[str]) -> None:
        """Fields of these runs come first, oldest first; `next_run` after the last one of each."""
        self._earlier = tuple(run_ids)
        self._base = -_RUN * len(run_ids)

    def next_run(self) -> None:
        """The fields of an earlier run have come."""
        self._base += _RUN
        self._announced_until = -1
        self._clock.next_run()
        self._provisional = None
        self._said.clear()
        if self._base == 0 and self._rule is not None and self._rule.final is not None and self._order is not None:
            said = sentence_of(self._rule.final, self._order, is_final=True)
            self._said.append(Said("stop", said, self._rule.final, is_final=True))

    def result(self) -> SlideResult | None:
        """The final result; None where `ended` gave none."""
        self._end_lost()
        if not self._has_places and self._order is None:
            return None
        cells = _added(self._count.final, self._count.provisional)
        return SlideResult(
            cells=cells,
            differential=differential(cells),
            same_cells=self._n_same,
            tolerance_um=self._geometry.tolerance_um,
            run_ids=self._earlier,
            left_out=self._n_left_out,
            flags=raised_flags(cells, self._order),
            nrbc_correction=nrbc_correction(cells, self._order),
            by_policy=differential(adjusted(cells, self._order)) if self._is_adjusted else None,
            stop=self._stop_result(cells),
        )

    @property
    def _is_adjusted(self) -> bool:
        return self._order is not None and self._order.smudges != "apart"

    def _replaced(self, field_index: int) -> None:
        """Another field has taken the place of this one, which counts no more."""
        if not self._count.withdraw(self._base + field_index) and self._has_places:
            said = (
                f"field {field_index} was final when it was imaged anew: its cells stay in the final counts; what the new image"
                " shows beside them is added."
            )
            self._said.append(Said("kept", said))

    def _decide(self, ended: Ended) -> None:
        """For good, by what has become final."""
        rule, order = self._rule, self._order
        if rule is None or order is None:
            return
        for each in ended.settled:
            run_id, index = self._run_of(each.field_index)
            if rule.settled(index, each.labels, self._elapsed_s.pop(each.field_index, 0.0), run_id) and rule.final is not None:
                self._said.append(Said("stop", sentence_of(rule.final, order, is_final=True), rule.final, is_final=True))

    def _look_ahead(self, field_index: int) -> None:
        """Provisionally, by all that is known."""
        rule, order = self._rule, self._order
        if rule is None or order is None or rule.final is not None:
            return
        cells = _added(self._count.final, self._count.provisional)
        before, elapsed_s = self._provisional, self._clock.last_s
        self._provisional = rule.reached(field_index, cells, self._n_fields, elapsed_s)
        if self._provisional is not None and before is not None:
            self._provisional = before  # the first place stands while a limit holds
        elif self._provisional is not None:
            said = sentence_of(self._provisional, order, is_final=False)
            self._said.append(Said("stop", said, self._provisional))
        elif before is not None:
            self._said.append(Said("withdrawn", _WITHDRAWN))

    def _stop_result(self, cells: Mapping[str, int]) -> StopResult | None:
        if self._rule is None:
            return None
        final, wbc = self._rule.final, wbc_total(adjusted(cells, self._order))
        if final is None:
            return StopResult(wbc=wbc)
        beyond = self._n_fields - self._rule.fields_until_final
        return StopResult(final=final, wbc=wbc, overshoot_wbc=max(0, wbc - final.wbc), overshoot_fields=beyond)

    def _run_of(self, key: int) -> tuple[str | None, int]:
        """The earlier run of a field, None for this run, and its index there."""
        back = -(key // _RUN)
        return (None if back == 0 else self._earlier[-back]), key % _RUN

    def _named(self, key: int) -> str:
        run_id, index = self._run_of(key)
        return f"field {index}" if run_id is None else f"field {index} of run {run_id}"

    def _area_um(self, stage_nm: Position) -> Box:
        x_um, y_um = self._geometry.seen_from_camera_um(stage_nm)
        width_um, height_um = (half * self._geometry.pixel_um for half in self._half_px)
        return x_um - width_um, y_um - height_um, x_um + width_um, y_um + height_um

    def _seen(self, detection: Detection, stage_nm: Position | None, size_px: Size) -> Seen:
        x1, y1, x2, y2 = detection.box_px
        width_px, height_px = size_px
        cut = (x1 <= _BORDER_PX, y1 <= _BORDER_PX, x2 >= width_px - _BORDER_PX, y2 >= height_px - _BORDER_PX)
        x_um, y_um = self._geometry.seen_from_camera_um(stage_nm or (0, 0))
        um = self._geometry.pixel_um
        box = (
            x_um + (x1 - width_px / 2) * um,
            y_um + (y1 - height_px / 2) * um,
            x_um + (x2 - width_px / 2) * um,
            y_um + (y2 - height_px / 2) * um,
        )
        return Seen(box, cut)

    def _sums(self, ended: Ended) -> SlideSums:
        final, provisional = self._count.final, self._count.provisional
        return SlideSums(
            final_until=max(-1, self._count.frontier),
            announced_until=self._announced_until,
            final=final,
            final_wbc=wbc_total(final),
            provisional=provisional,
            provisional_wbc=wbc_total(provisional),
            same_cells=tuple(map(self._same_cell, ended.merges)),
            left_out=self._n_left_out,
            flags=tuple(each.flag for each in raised_flags(_added(final, provisional), self._order)),
            stop=StopState(provisional=self._provisional, final=self._rule.final) if self._rule is not None else None,
        )

    def _same_cell(self, merge: Merge) -> SameCell:
        run_id, index = self._run_of(merge.of_field_index)
        return SameCell(
            detection=merge.number,
            field_index=index,
            of_detection=merge.of_number,
            run_id=run_id,
            distance_um=round(merge.distance_um, 3),
        )


def _added(final: Mapping[str, int], provisional: Mapping[str, int]) -> dict[str, int]:
    return {label: final.get(label, 0) + provisional.get(label, 0) for label in {**final, **provisional}}


def _correction(where: str, label: str, would_be: str) -> str:
    return (
        f"a cell of {where} that is final as {label} would now be called {would_be}: a field that came later shows it better. "
        "The final counts stay as they were sent."
    )
