"""At the model's own thresholds: recall and precision with exact limits, counting, and the two hard subsets."""

from collections.abc import Sequence

from trainer.evaluation.summary import ClassFigures, LeukocyteFigures, Subset
from trainer.reporting.document import Cell, Section, Table
from trainer.reporting.formatting import FEW, NONE, figure, in_words
from trainer.reporting.report_sources import MeasuredRun

LIMITS = "Limits are exact binomial ones (Clopper and Pearson 1934), 95 %. An uncertain cell is not found as its class."


def operating(runs: Sequence[MeasuredRun]) -> Section:
    """One table of classes per run."""
    tables = [_by_class(run) for run in runs]
    return Section("Recall at the model's thresholds", (LIMITS,), tuple(tables))


def leukocytes(runs: Sequence[MeasuredRun]) -> Section:
    """Any leukocyte: average precision, also by source, and counting."""
    sources = list(dict.fromkeys(name for run in runs for name in run.summary.wbc_ap_by_source))
    rows = [(Cell("all images"), *(Cell(_with_limits(run), "ours") for run in runs))]
    rows += [(Cell(name), *(Cell(figure(run.summary.wbc_ap_by_source.get(name))) for run in runs)) for name in sources]
    by_source = Table(
        "Average precision of any leukocyte, whatever its type", (Cell("images of"), *(Cell(r.name) for r in runs)), tuple(rows)
    )
    counting = Table(
        "Leukocytes counted at the model's thresholds",
        tuple(map(Cell, ("model", "annotated", "counted", "difference", "mean absolute error per image"))),
        tuple(_counted(run) for run in runs),
    )
    return Section("Finding and counting leukocytes", (), (by_source, counting))


def subsets(runs: Sequence[MeasuredRun]) -> Section:
    """Small cells and dense scenes, which the reference tests apart."""
    rows = []
    for run in runs:
        own = run.summary.subsets
        rows += [_subset(f"{run.name}: small cells", own.small_cells), _subset(f"{run.name}: dense scenes", own.dense)]
    head = (*map(Cell, ("subset", "images", "cells", "mAP", "AP of any leukocyte")), Cell("what is in it", "text"))
    return Section("Small cells and dense scenes", (), (Table("The two hard subsets", head, tuple(rows)),))


def _by_class(run: MeasuredRun) -> Table:
    summary = run.summary
    rows = [_row("any leukocyte", summary.wbc)]
    rows += [_row(in_words(name), row) for name, row in summary.classes.items()]
    head = tuple(map(Cell, ("class", "cells", "recall", "95 % limits", "precision", "how much it says")))
    return Table(f"{run.name}: recall and precision by class", head, tuple(rows))


def _row(name: str, row: ClassFigures | LeukocyteFigures) -> tuple[Cell, ...]:
    if not row.truth:
        return Cell(name), Cell("0", "none"), *(Cell(NONE, "none") for _ in range(3)), Cell("no cells: nothing known", "none")
    look = "weak" if row.truth < FEW else ""
    known = row.recall_low is not None and row.recall_high is not None
    limits = f"{figure(row.recall_low)} to {figure(row.recall_high)}" if known else NONE
    verdict = f"weak: fewer than {FEW} cells" if row.truth < FEW else ""
    return Cell(name), *(
        Cell(text, look) for text in (str(row.truth), figure(row.recall), limits, figure(row.precision), verdict)
    )


def _with_limits(run: MeasuredRun) -> str:
    summary = run.summary
    limits = summary.limits.wbc_ap if summary.limits else None
    return figure(summary.wbc.ap) + (f" ({limits[0]:.3f} to {limits[1]:.3f})" if limits else "")


def _counted(run: MeasuredRun) -> tuple[Cell, ...]:
    count = run.summary.counting
    figures = (run.name, count.true, count.counted, f"{count.counted - count.true:+d}", f"{count.mean_absolute_error:.3f}")
    return tuple(Cell(str(value)) for value in figures)


def _subset(name: str, row: Subset) -> tuple[Cell, ...]:
    look = "none" if not row.truth else "weak" if row.truth < FEW else ""
    figures = (str(row.images), str(row.truth), figure(row.map), figure(row.wbc_ap))
    return Cell(name), *(Cell(text, look) for text in figures), Cell(row.rule, "text")
