"""A sheet of reviews as people fill one: CSV from an editor or a spreadsheet, every row checked before any is taken."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.errors import DataError, first_line
from edge.contracts.whole_file import SMALL_BYTES, read_whole
from edge.journal.reviews import Verdict
from edge.reports.added_cells import NEW, PLACE, Additions
from edge.reports.run_report import Box, Report, ReportedCell

COLUMNS = ("cell", "label", "who", "why")
REJECT, CONFIRM = "reject", "confirm"
_LABELS = {cell.name: cell.name for cell in CELLS} | {cell.abbreviation.lower(): cell.name for cell in CELLS}
_LABELS |= {label: label for label in (UNIDENTIFIED, UNIDENTIFIED_NON_WBC)}
VERDICTS = (*dict.fromkeys(_LABELS.values()), REJECT, CONFIRM)
"""What may be said of a cell: a class, that it is none, that it is called rightly."""
_LONGEST = 500
"""Characters of a name or a reason."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One judgement as it was written down. `label` is None unless the verdict is `label`."""

    line: int
    cell: str
    verdict: Verdict
    label: str | None
    who: str
    why: str
    field_index: int | None = None
    box_px: Box | None = None
    box_is_assumed: bool | None = None


def read_sheet(path: Path, report: Report) -> list[SheetRow]:
    """The rows that say something of the run with this report; a row without label and without who is none yet.

    Columns are `cell`, `label` (a class by name or abbreviation, `reject` or `confirm`), `who` and, if wanted, `why`. A row
    whose cell is `new` adds one, and has `field_index`, `x_px`, `y_px` and, if wanted, `width_px` and `height_px`. Others do
    not matter. Commas, semicolons or tabs. Raises `DataError` for the first row that cannot be taken, by its line.
    """
    rows = [row for row in _rows(path) if row["label"] or row["who"]]
    found: dict[str, SheetRow] = {}
    checking = RowCheck(report)
    for row in rows:
        one = checking.row(f"{path} line {row['line']}", row)
        if (other := found.get(one.cell)) is not None:
            raise DataError(
                f"{path} line {one.line} judges cell {one.cell}, which line {other.line} has judged; strike one of the two."
            )
        found[one.cell] = one
    if not found:
        raise DataError(f"{path} judges no cell: no row has a label and who says so; fill those columns of the rows you judge.")
    return list(found.values())


def _rows(path: Path) -> Iterable[dict[str, str]]:
    try:
        text = read_whole(path, SMALL_BYTES).decode("utf-8-sig")
    except OSError as problem:
        raise DataError(f"sheet {path} cannot be read ({first_line(problem)}); give a CSV file.") from problem
    except UnicodeDecodeError as problem:
        raise DataError(f"sheet {path} is not UTF-8 at byte {problem.start}; save it as CSV in UTF-8.") from problem
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        _check_head(path, names)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(names):
                raise DataError(
                    f"{path} line {reader.line_num} has {len(values)} columns where the first line has {len(names)}; put text "
                    "with a separator in it into quotes."
                )
            row = {name: value.strip() for name, value in zip(names, values, strict=True)}
            yield {"why": "", **row, "line": str(reader.line_num)}
    except csv.Error as problem:
        raise DataError(f"{path} line {reader.line_num} is not CSV ({first_line(problem)}); save it again.") from problem


def _check_head(path: Path, names: Sequence[str]) -> None:
    if missing := [name for name in COLUMNS[:3] if name not in names]:
        raise DataError(f"{path} lacks the column {missing[0]!r}; its first line must name cell, label, who and may name why.")
    if twice := [name for name in (*COLUMNS, *PLACE) if names.count(name) > 1]:
        raise DataError(f"{path} has the column {twice[0]!r} twice; strike one of the two.")


class RowCheck:
    """Judgements of the cells of one run, one after the other."""

    def __init__(self, report: Report) -> None:
        self._cells = {cell.id: cell for cell in report.cells}
        self._additions = Additions(report)

    def row(self, where: str, row: Mapping[str, str]) -> SheetRow:
        """A judgement with the keys of `COLUMNS` and its `line`; `where` begins the sentence. Raises `DataError`."""
        line, cell, said = int(row["line"]), row["cell"].lower(), row["label"].lower().replace(" ", "_")
        if cell != NEW:
            _refuse_foreign(where, row["cell"], self._cells.get(cell))
        _check_texts(where, row, said, cell)
        if cell == NEW:
            return self._added(where, row, line, said)
        verdict: Verdict = "reject" if said == REJECT else "confirm" if said == CONFIRM else "label"
        return SheetRow(line, cell, verdict, _LABELS.get(said), row["who"], row["why"])

    def _added(self, where: str, row: Mapping[str, str], line: int, said: str) -> SheetRow:
        if said in {REJECT, CONFIRM}:
            raise DataError(f"{where} adds a cell and says {said} of it; a new cell has a class.")
        label, who, why = _LABELS[said], row["who"], row["why"]
        if (known := self._additions.known(row, label, who, why)) is not None:
            return SheetRow(line, known, "add", label, who, why)
        cell, index, box_px, is_assumed = self._additions.checked(where, row, label)
        return SheetRow(line, cell, "add", label, who, why, index, box_px, is_assumed)


def _refuse_foreign(where: str, given: str, cell: ReportedCell | None) -> None:
    if cell is None:
        raise DataError(
            f"{where} judges cell {given[:40]!r}, which the run does not have; `leuko-edge export RUN --as csv` "
            "lists its cells."
        )
    if cell.of_earlier_run:
        raise DataError(
            f"{where} judges cell {cell.id}, which a run that this one continues has counted; review that run's cells."
        )


def _check_texts(where: str, row: Mapping[str, str], said: str, cell: str) -> None:
    if not row["who"] or not said:
        lacks = "who says so" if said else f"a label, {REJECT} or {CONFIRM}"
        raise DataError(f"{where} does not say {lacks}; fill the column, or leave both empty.")
    if said not in {*_LABELS, REJECT, CONFIRM}:
        raise DataError(
            f"{where} calls cell {cell} {row['label'][:40]!r}, which is no class; use one of "
            f"{', '.join(dict.fromkeys(_LABELS.values()))}, {REJECT} or {CONFIRM}."
        )
    for name in ("who", "why"):
        if len(row[name]) > _LONGEST or "\0" in row[name]:
            raise DataError(f"{where} has {len(row[name])} characters in {name!r}, or one that is no text; shorten it.")
