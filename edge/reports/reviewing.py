"""`leuko-edge runs review`: what people say of a run's cells, checked and put behind its records."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.contracts.errors import JournalError
from edge.contracts.user_paths import expanded
from edge.journal.reviews import Review, append_reviews, count_reviews, now
from edge.reports.opened_run import OpenedRun, opened_run
from edge.reports.review_sheet import RowCheck, SheetRow, read_sheet
from edge.reports.run_report import Report, ReportedCell

_SAID = {"label": "relabelled", "reject": "rejected", "confirm": "confirmed", "add": "added"}


def review_run(journal: Path, run_id: str, sheet: Path) -> None:
    """Append the rows of a sheet, all or none, and print what they were. Raises `JournalError` and `DataError`."""
    opened = opened_run(journal, run_id)
    refuse_unfit(opened)
    rows = read_sheet(expanded(sheet), opened.report)
    reviews = new_reviews(opened.report, rows, now())
    if reviews:
        append_reviews(opened.journal, opened.stored, opened.reviews, reviews)
    done = ", ".join(f"{n} {_SAID[verdict]}" for verdict, n in count_reviews(reviews).items()) or "none"
    known = len(rows) - len(reviews)
    print(
        f"{len(reviews)} reviews of run {opened.report.run_id} appended: {done}" + (f"; {known} stood already" if known else "")
    )


def review_cell(journal: Path, run_id: str, said: Mapping[str, str]) -> int:
    """Append one judgement with the keys of a sheet's row; returns how many were, 0 where it stood already.

    Raises `JournalError` and `DataError`, as for a sheet.
    """
    opened = opened_run(journal, run_id)
    refuse_unfit(opened)
    row = RowCheck(opened.report).row("this review", {**said, "line": "1"})
    reviews = new_reviews(opened.report, [row], now())
    if reviews:
        append_reviews(opened.journal, opened.stored, opened.reviews, reviews)
    return len(reviews)


def refuse_unfit(opened: OpenedRun) -> None:
    """Raises `JournalError` unless the run has ended and its records and reviews are whole."""
    report, run_id = opened.report, opened.report.run_id
    if opened.lacks:
        raise JournalError(f"{opened.lacks}; put both files side by side before you review a run.")
    if report.chain.is_whole is False:
        raise JournalError(
            f"run {run_id} of journal {opened.journal} is not as it was written ({report.chain.verdict}), so nobody can judge "
            "its cells; restore the file from a copy."
        )
    if report.outcome is None:
        raise JournalError(
            f"run {run_id} has not ended, and its cells may still change; review it when it has, and after a crash start an "
            "edge with this journal first."
        )


def new_reviews(report: Report, rows: Sequence[SheetRow], wall_time: str) -> list[Review]:
    """What the rows add to the judgements that stand. One that says again what the same person has said last adds nothing.

    A row is of the cell that its detection shows: a confirmed one keeps what it is called, however that came about.
    """
    cells = {cell.id: cell for cell in report.cells}
    names = {cell.id: cell.label_now for cell in report.cells if cell.same_as is None}
    added: list[Review] = []
    for row in rows:
        cell = cells.get(row.cell)
        if cell is None or row.verdict == "add":
            if cell is None:
                added.append(_added(row, wall_time))
            continue
        whole = cell.same_as or cell.id
        label = row.label if row.verdict == "label" else names[whole] if row.verdict == "confirm" else None
        if row.verdict == "confirm" and label is None:
            label = cells[whole].label  # it was rejected, and is a cell after all
        if _repeats(cell, row, label):
            continue
        added.append(
            Review(
                cell=row.cell,
                verdict=row.verdict,
                old_label=names[whole],
                label=label,
                who=row.who,
                why=row.why,
                wall_time=wall_time,
            )
        )
        names[whole] = label
    return added


def _added(row: SheetRow, wall_time: str) -> Review:
    return Review(
        cell=row.cell,
        verdict="add",
        old_label=None,
        label=row.label,
        who=row.who,
        why=row.why,
        wall_time=wall_time,
        field_index=row.field_index,
        box_px=row.box_px,
        box_is_assumed=row.box_is_assumed,
    )


def _repeats(cell: ReportedCell, row: SheetRow, label: str | None) -> bool:
    said = cell.judgement
    return said is not None and (said.verdict, said.label, said.who, said.why) == (row.verdict, label, row.who, row.why)
