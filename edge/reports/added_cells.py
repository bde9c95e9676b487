"""Cells that the model has missed and a person has seen: where one may be added to a run, and its box."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from edge.contracts.cells import CELLS, UNIDENTIFIED
from edge.contracts.errors import DataError
from edge.journal.reviews import Review
from edge.reports.run_report import Box, Judgement, Report, ReportedCell, ReportedField
from edge.reports.slide_layout import Point, layout_of

NEW = "new"
"""In the place of a cell's id: this row adds one."""
PLACE = ("field_index", "x_px", "y_px", "width_px", "height_px")
"""Where it is: its middle in pixels of its field, and its size, which may be left out."""
NEAR_UM = 4.0
"""Middles so near are one cell: half a small lymphocyte, and a hand and a stage are off by less. Chosen here."""
_TYPICAL_UM = 13.0
"""Side of the box of a cell whose size nobody gave, in a run without any other; chosen here."""
_WBC = frozenset({*(cell.name for cell in CELLS if cell.is_wbc), UNIDENTIFIED})


def added_id(field_index: int, number: int) -> str:
    """`f17a0`: the first cell that was added to field 17."""
    return f"f{field_index}a{number}"


def cells_added(
    reviews: Sequence[Review], fields: Mapping[int, ReportedField], said: Mapping[str, Judgement]
) -> list[ReportedCell]:
    """Every cell that a person has added, as people say now what it is (`said` by id)."""
    found = []
    for review in reviews:
        one = fields.get(review.field_index) if review.field_index is not None else None
        if review.verdict != "add" or review.box_px is None or one is None or review.label is None:
            continue
        um = one.um_per_px or 0.0
        x1, y1, x2, y2 = review.box_px
        found.append(
            ReportedCell(
                id=review.cell,
                field_index=one.field_index,
                label=review.label,
                best_class=review.label,
                is_wbc=review.label in _WBC,
                score=0.0,
                presence=0.0,
                margin=0.0,
                runner_up=None,
                probability=None,
                box_px=review.box_px,
                size_um=(round((x2 - x1) * um, 3), round((y2 - y1) * um, 3)),
                touches_border=x1 <= 0 or y1 <= 0 or x2 >= (one.width_px or 0) or y2 >= (one.height_px or 0),
                stage_um=None,
                counts=one.counted and not one.replaced and not one.left_out,
                same_as=None,
                judgement=said.get(review.cell),
                added=True,
                box_is_assumed=bool(review.box_is_assumed),
            )
        )
    return found


class Additions:
    """New cells of one run, each held against the cells that it has and the new ones before."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._fields = {one.field_index: one for one in report.fields}
        self._layout = layout_of(report)
        self._taken: list[tuple[str, int, Point, str]] = []
        self._n_of_field: dict[int, int] = {}
        for cell in report.cells:
            self._taken.append((cell.id, cell.field_index, _middle(cell.box_px), cell.label_now or "rejected"))
            if cell.added:
                self._n_of_field[cell.field_index] = self._n_of_field.get(cell.field_index, 0) + 1

    def checked(self, where: str, row: Mapping[str, str], label: str) -> tuple[str, int, Box, bool]:
        """Id, field, box and whether its size was assumed, of a row with the columns `PLACE`. Raises `DataError`."""
        index = _number(where, row, "field_index")
        one = self._fields.get(int(index)) if index.is_integer() else None
        if one is None:
            raise DataError(
                f"{where} adds a cell to field {row['field_index'][:20]}, which the run does not have; see fields.csv."
            )
        if not one.counted or one.replaced or one.left_out or not one.width_px or not one.height_px:
            why = (
                "another field has taken its place"
                if one.replaced
                else "it is left out for its picture"
                if one.left_out
                else ""
            )
            raise DataError(
                f"{where} adds a cell to field {one.field_index}, whose cells are in no count "
                f"({why or f'it ended as {one.status.value}'}); add it where a field that counts shows it."
            )
        x_px, y_px = _number(where, row, "x_px"), _number(where, row, "y_px")
        if not (0 <= x_px < one.width_px and 0 <= y_px < one.height_px):
            raise DataError(
                f"{where} adds a cell at x {x_px:g}, y {y_px:g}, outside of field {one.field_index} "
                f"({one.width_px} x {one.height_px} px); give its middle in pixels of that picture."
            )
        box, is_assumed = self._box(where, row, one, (x_px, y_px), label)
        self._refuse_known(where, one, _middle(box))
        number = self._n_of_field.get(one.field_index, 0)
        self._n_of_field[one.field_index] = number + 1
        cell = added_id(one.field_index, number)
        self._taken.append((cell, one.field_index, _middle(box), label))
        return cell, one.field_index, box, is_assumed

    def known(self, row: Mapping[str, str], label: str, who: str, why: str) -> str | None:
        """The id of a cell that this very row has added before; a sheet may be given twice."""
        for cell in self._report.cells:
            said = cell.judgement
            if not cell.added or said is None or said.verdict != "add" or (said.label, said.who, said.why) != (label, who, why):
                continue
            given = [row.get(name, "") for name in PLACE[:3]]
            x, y = _middle(cell.box_px)
            try:
                is_there = math.dist((x, y), (float(given[1]), float(given[2]))) < 1 and float(given[0]) == cell.field_index
            except ValueError:
                continue
            if is_there:
                return cell.id
        return None

    def _box(self, where: str, row: Mapping[str, str], one: ReportedField, middle: Point, label: str) -> tuple[Box, bool]:
        given = [row.get(name, "") for name in PLACE[3:]]
        if any(given) != all(given):
            raise DataError(f"{where} gives a new cell a width or a height alone; give both, or neither.")
        if all(given):
            width_px, height_px = _number(where, row, "width_px"), _number(where, row, "height_px")
        else:
            width_px = height_px = self._typical_um(label) / (one.um_per_px or self._report.provenance.um_per_px)
        most = max(one.width_px or 0, one.height_px or 0)
        if not (1 <= width_px <= most and 1 <= height_px <= most):
            raise DataError(
                f"{where} gives a new cell a size of {width_px:g} x {height_px:g} px, which no cell of this field has."
            )
        x, y = middle
        x1, x2 = max(0.0, x - width_px / 2), min(float(one.width_px or 0), x + width_px / 2)
        y1, y2 = max(0.0, y - height_px / 2), min(float(one.height_px or 0), y + height_px / 2)
        return (round(x1, 2), round(y1, 2), round(x2, 2), round(y2, 2)), not all(given)

    def _typical_um(self, label: str) -> float:
        """Median side of the cells of that class in this run, of all leukocytes where it has none."""
        whole = [cell for cell in self._report.counted_cells if not cell.touches_border and not cell.box_is_assumed]
        sides = [sum(cell.size_um) / 2 for cell in whole if cell.label_now == label]
        sides = sides or [sum(cell.size_um) / 2 for cell in whole if cell.is_wbc]
        return median(sides) if sides else _TYPICAL_UM

    def _refuse_known(self, where: str, one: ReportedField, middle: Point) -> None:
        near = []
        for cell, index, at, label in self._taken:
            apart_um = self._apart_um(one, middle, index, at)
            if apart_um < NEAR_UM:
                near.append((index != one.field_index, apart_um, cell, index, label))
        if near:
            is_elsewhere, apart_um, cell, index, label = min(near)
            shown = f" of field {index}, which shows the same place," if is_elsewhere else ""
            raise DataError(
                f"{where} adds a cell to field {one.field_index} where cell {cell}{shown} ({label}) is {apart_um:.1f} um "
                "away; say of that one what it is."
            )

    def _apart_um(self, one: ReportedField, middle: Point, index: int, at: Point) -> float:
        """From a place in `one` to one in field `index`; infinite where nobody knows."""
        if index == one.field_index:
            return math.dist(at, middle) * (one.um_per_px or self._report.provenance.um_per_px)
        here, there = self._on_slide_um(one.field_index, middle), self._on_slide_um(index, at)
        return math.inf if here is None or there is None else math.dist(here, there)

    def _on_slide_um(self, field_index: int, at: Point) -> Point | None:
        one = self._fields.get(field_index)
        if self._layout is None or one is None or one.stage_um is None or not one.width_px:
            return None
        return self._layout.corners_um(one, (*at, *at))[0]


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _number(where: str, row: Mapping[str, str], name: str) -> float:
    text = row.get(name, "")
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise DataError(
            f"{where} adds a cell and says {text[:20]!r} for {name}; a new cell has a field_index, an x_px and a y_px."
        )
    return found
