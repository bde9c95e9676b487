"""Average precision by class: our own, and beside the reference's Table 1."""

from collections.abc import Collection, Sequence

from edge.contracts.cells import CELLS
from trainer.evaluation.summary import ClassFigures
from trainer.reporting.document import Cell, Section, Table
from trainer.reporting.formatting import FEW, NONE, figure, in_words
from trainer.reporting.report_sources import MeasuredRun, Reference

_TERMS = (
    "AP is average precision: the area under the whole precision-recall curve; 11-point AP is the mean precision at eleven "
    "recalls, mAP the mean over classes. A cell is found when its box and the annotated one overlap in half of what "
    f"the two cover (IoU 0.5). In italics: fewer than {FEW} cells. "
)


def own_accuracy(runs: Sequence[MeasuredRun]) -> Section:
    """Average precision per class, a table a model."""
    tables = [
        Table(
            f"{run.name}: average precision by class",
            tuple(map(Cell, ("class", "cells", "AP", "11-point AP"))),
            tuple((Cell(in_words(cell.name)), *_own(run.summary.classes.get(cell.name))) for cell in CELLS),
            f"{_TERMS}{NONE}: no cell to measure on." if run is runs[-1] else "",
        )
        for run in runs
    ]
    return Section("Average precision by class", tuple(_words(run) for run in runs), tuple(tables))


def beside_reference(runs: Sequence[MeasuredRun], reference: Reference) -> Section:
    """Average precision per class and its means, ours and the reference's in one table."""
    names = [*reference.classes, *(cell.name for cell in CELLS if cell.name not in reference.classes)]
    head = [Cell("class")]
    for run in runs:
        head += [Cell(f"{run.name}: {what}", "ours") for what in ("cells", "AP", "11-point AP")]
    head += [Cell(f"{reference.short}: {system.name}") for system in reference.systems]
    rows = [
        (
            Cell(in_words(name)),
            *(cell for run in runs for cell in _own(run.summary.classes.get(name))),
            *_published(reference, name),
        )
        for name in names
    ]
    rows += [_common(runs, reference), _mean(runs, reference)]
    repeated = range(4, 3 * len(runs), 3) if all(run.truths == runs[0].truths for run in runs) else ()
    if repeated:
        head[1] = Cell("cells", "ours")
    note = (
        f"{_TERMS}s_min sets the size SSD's default boxes begin at, as a share of the image's side. {NONE}: no cell to measure "
        f"on, or nothing published. Source of the other columns: {reference.source}."
    )
    return Section(
        "Beside the reference: average precision by class (its Table 1)",
        (
            f"These images are not the reference's own. Wang et al. (2019) measured on {reference.test_images:,} fields of its "
            "own slides. Figures set beside each other here come from different images; a difference between them is not only "
            "one between models.",
        ),
        (
            Table(
                "Average precision by class, ours and the reference's",
                _without(head, repeated),
                tuple(_without(row, repeated) for row in rows),
                note,
            ),
        ),
    )


def _without(row: Sequence[Cell], columns: Collection[int]) -> tuple[Cell, ...]:
    """Runs on the same images share one column of cells."""
    return tuple(cell for k, cell in enumerate(row) if k not in columns)


def _own(row: ClassFigures | None) -> tuple[Cell, Cell, Cell]:
    if row is None or not row.truth:
        return Cell("0", "ours none"), Cell(NONE, "ours none"), Cell(NONE, "ours none")
    look = "ours weak" if row.truth < FEW else "ours"
    return Cell(str(row.truth), look), Cell(figure(row.ap), look), Cell(figure(row.ap_11_point), look)


def _published(reference: Reference, name: str) -> list[Cell]:
    if name not in reference.classes:
        return [Cell(NONE, "none") for _ in reference.systems]
    column = reference.classes.index(name)
    return [Cell(figure(system.ap[column])) for system in reference.systems]


def _common(runs: Sequence[MeasuredRun], reference: Reference) -> tuple[Cell, ...]:
    """The only means that are over the same classes."""
    own = [{name: row for name, row in run.summary.classes.items() if row.ap is not None} for run in runs]
    shared = [name for name in reference.classes if all(name in rows for rows in own)]
    cells = [Cell(f"mean over the {len(shared)} classes all columns have")]
    for rows in own:
        cells += [Cell(str(sum(rows[name].truth for name in shared)), "ours")]
        cells += [Cell(figure(_mean_of([rows[name].ap for name in shared])), "ours")]
        cells += [Cell(figure(_mean_of([rows[name].ap_11_point for name in shared])), "ours")]
    columns = [reference.classes.index(name) for name in shared]
    cells += [Cell(figure(_mean_of([system.ap[k] for k in columns]))) for system in reference.systems]
    return tuple(cells)


def _mean_of(values: Sequence[float | None]) -> float | None:
    """None when one of them is not known: a mean over fewer classes would be compared with one over more."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _mean(runs: Sequence[MeasuredRun], reference: Reference) -> tuple[Cell, ...]:
    cells = [Cell("mAP over each column's own classes")]
    for run in runs:
        cells += [Cell(str(sum(n for _, n in run.truths)), "ours")]
        cells += [Cell(figure(run.summary.map), "ours"), Cell(figure(run.summary.map_11_point), "ours")]
    return (*cells, *(Cell(figure(system.map)) for system in reference.systems))


def _words(run: MeasuredRun) -> str:
    summary = run.summary
    known = sum(n > 0 for _, n in run.truths)
    parts = [f"{run.name}: mAP {figure(summary.map)} over the {known} of {len(summary.classes)} classes with cells"]
    if summary.limits and summary.limits.map:
        low, high = summary.limits.map
        parts.append(
            f"95 % limits {low:.3f} to {high:.3f} ({summary.limits.rounds} rounds of resampling {summary.limits.resampled})"
        )
    if summary.folds:
        parts.append(f"mean of the {len(summary.folds.map)} folds' own mAP {figure(summary.folds.mean_map)}")
    return "; ".join(parts) + "."
