"""`cells.csv` and `fields.csv`: one line per cell, one line per field, written as the records come."""

import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from edge.contracts.records import Detection, FieldRecord
from edge.counting import NON_WBC_LABELS, WBC_LABELS
from edge.reports.cells_once import cell_id

LABELS = (*WBC_LABELS, *NON_WBC_LABELS)
CELL_COLUMNS = (
    *("cell", "field_index", "source_name", "label", "best_class", "is_wbc", "score", "presence", "margin", "runner_up"),
    *("probability", "x1_px", "y1_px", "x2_px", "y2_px", "width_um", "height_um", "touches_border", "stage_x_nm", "stage_y_nm"),
    "same_cell_as",
)
FIELD_COLUMNS = (
    *("field_index", "source_name", "status", "detail", "counted", "width_px", "height_px", "um_per_px", "stage_x_nm"),
    *("stage_y_nm", "leukocytes", "cells", "overflow", *LABELS, "total_ms", "picture"),
)
_UNFINISHED = ".part"


class CountTables:
    """Both tables of one count, while it goes on."""

    def __init__(self, cells: Any, fields: Any) -> None:  # noqa: ANN401 csv.writer has no type of its own
        self._cells, self._fields = cells, fields

    def add(self, record: FieldRecord, picture: str = "") -> None:
        """A field and its cells; `picture` is the file with its boxes."""
        self._fields.writerow(_field_row(record, picture))
        for number, cell in enumerate(record.detections):
            self._cells.writerow(_cell_row(record, number, cell))


@contextmanager
def count_tables(folder: Path) -> Iterator[CountTables]:
    """Open both in `folder`. They get their names once whole, and are gone when the count broke off. Raises OSError."""
    names = ("cells.csv", "fields.csv")
    parts = [folder / f"{name}{_UNFINISHED}" for name in names]
    with ExitStack() as held:
        for part in parts:
            held.callback(part.unlink, missing_ok=True)
        writers = []
        files = ExitStack()
        held.push(files)
        for part, columns in zip(parts, (CELL_COLUMNS, FIELD_COLUMNS), strict=True):
            file = files.enter_context(part.open("w", encoding="utf-8", newline=""))
            writers.append(csv.writer(file, lineterminator="\n"))
            writers[-1].writerow(columns)
        yield CountTables(*writers)
        files.close()
        for part, name in zip(parts, names, strict=True):
            part.replace(folder / name)


def _cell_row(record: FieldRecord, number: int, cell: Detection) -> list[object]:
    slide = record.running.slide
    same = [one for one in slide.same_cells if one.detection == number] if slide else []
    stage = cell.centre_stage
    return [
        cell_id((record.field_index, number)),
        record.field_index,
        _text(record.source_name),
        cell.label,
        cell.best_class,
        int(cell.is_wbc),
        f"{cell.score:.4f}",
        f"{cell.presence:.4f}",
        f"{cell.margin:.4f}",
        cell.runner_up or "",
        "" if cell.probability is None else f"{cell.probability:.4f}",
        *(f"{edge:.1f}" for edge in cell.box_px),
        *(f"{side:.2f}" for side in cell.size_um),
        int(cell.touches_border),
        *((stage.x_nm, stage.y_nm) if stage else ("", "")),
        " ".join(cell_id((one.field_index, one.of_detection)) for one in same),
    ]


def _field_row(record: FieldRecord, picture: str) -> list[object]:
    stage, um_per_px = record.stage, record.um_per_px
    # A field that was not counted has no cells, not none: its numbers stay empty.
    counts: list[object] = [record.counts.get(label, 0) if record.counted else "" for label in LABELS]
    return [
        record.field_index,
        _text(record.source_name),
        record.status.value,
        _text(record.detail),
        int(record.counted),
        "" if record.width_px is None else record.width_px,
        "" if record.height_px is None else record.height_px,
        "" if um_per_px is None else f"{um_per_px:g}",
        *((stage.x_nm, stage.y_nm) if stage else ("", "")),
        sum(record.counts.get(label, 0) for label in WBC_LABELS) if record.counted else "",
        sum(record.counts.values()) if record.counted else "",
        int(record.overflow),
        *counts,
        f"{record.times.total_ms:.1f}" if record.times else "",
        picture,
    ]


def _text(text: str) -> str:
    """A spreadsheet takes what begins so for a formula, and a file may be named so."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
