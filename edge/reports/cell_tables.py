"""A run as CSV: every cell, every field, and a sheet for whoever reviews the cells."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge.contracts.whole_file import write_whole
from edge.reports.run_report import Report, ReportedCell, ReportedField

CELLS, FIELDS, SHEET = "cells.csv", "fields.csv", "review.csv"
_CELL_COLUMNS = (
    *("cell", "field_index", "source_name", "counts", "same_as", "called", "called_now", "verdict", "who", "why"),
    *("best_class", "runner_up", "score", "presence", "margin", "probability", "is_wbc", "touches_border"),
    *("x1_px", "y1_px", "x2_px", "y2_px", "width_um", "height_um", "stage_x_um", "stage_y_um"),
    *("added", "box_is_assumed"),
)
_FIELD_COLUMNS = (
    *("field_index", "trigger_id", "source_name", "status", "detail", "counted", "replaced", "overflow", "bad", "left_out"),
    *("cells", "leukocytes", "stage_x_um", "stage_y_um", "width_px", "height_px", "um_per_px", "wall_time"),
)
_SHEET_COLUMNS = (
    *("cell", "field_index", "source_name", "called", "score", "label", "who", "why"),
    *("x_px", "y_px", "width_px", "height_px"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_tables(report: Report, folder: Path) -> list[str]:
    """Write the three tables into `folder`, which exists; returns their names. Raises OSError."""
    names = {one.field_index: one.source_name for one in report.fields}
    tables = {
        CELLS: _table(_CELL_COLUMNS, (_cell(cell, names) for cell in report.cells)),
        FIELDS: _table(_FIELD_COLUMNS, map(_field, report.fields)),
        SHEET: _table(_SHEET_COLUMNS, (_to_judge(cell, names) for cell in report.counted_cells)),
    }
    for name, text in tables.items():
        write_whole(folder / name, text)
    return list(tables)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_value(value) for value in row] for row in rows)
    return stream.getvalue()


def _value(value: object) -> object:
    """Numbers as they are; text that a spreadsheet would compute gets a quote before it, as spreadsheets write one."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def _cell(cell: ReportedCell, names: dict[int, str]) -> Sequence[object]:
    said, stage = cell.judgement, cell.stage_um or (None, None)
    return (
        *(cell.id, cell.field_index, names.get(cell.field_index, ""), cell.counts, cell.same_as),
        *("" if cell.added else cell.label, cell.label_now),
        *((said.verdict, said.who, said.why) if said else ("", "", "")),
        *(cell.best_class, cell.runner_up, cell.score, cell.presence, cell.margin, cell.probability),
        *(cell.is_wbc, cell.touches_border, *cell.box_px, *cell.size_um, *stage),
        *(cell.added, cell.box_is_assumed),
    )


def _field(one: ReportedField) -> Sequence[object]:
    return (
        *(one.field_index, one.trigger_id, one.source_name, one.status.value, one.detail, one.counted, one.replaced),
        *(one.overflow, " ".join(one.bad), one.left_out, one.n_cells, one.n_wbc, *(one.stage_um or (None, None))),
        *(one.width_px, one.height_px, one.um_per_px, one.wall_time),
    )


def _to_judge(cell: ReportedCell, names: dict[int, str]) -> Sequence[object]:
    called = "" if cell.label_now is None else cell.label_now
    x1, y1, x2, y2 = cell.box_px
    place = (round((x1 + x2) / 2, 1), round((y1 + y2) / 2, 1), round(x2 - x1, 1), round(y2 - y1, 1))
    return (cell.id, cell.field_index, names.get(cell.field_index, ""), called, cell.score, "", "", "", *place)
