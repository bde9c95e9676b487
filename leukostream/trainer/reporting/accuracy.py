"""The reference's Table 1 with ours beside it, and the mean over the abnormal classes (its Fig. 10)."""

from collections.abc import Sequence

from markupsafe import Markup

from leukostream.edge.contracts.cells import CELLS
from leukostream.trainer.evaluation.summary import ClassFigures
from leukostream.trainer.reporting.page import drawing
from leukostream.trainer.reporting.reference import Reference
from leukostream.trainer.reporting.run import Run
from leukostream.trainer.reporting.section import Cell, Section, Table
from leukostream.trainer.reporting.words import FEW, NONE, figure, in_words, listed


def accuracy(runs: Sequence[Run], reference: Reference) -> Section:
    """Average precision per class and its means."""
    names = [*reference.classes, *(cell.name for cell in CELLS if cell.name not in reference.classes)]
    head = [Cell("class")]
    for run in runs:
        head += [Cell(f"{run.name}: cells", "ours"), Cell("AP", "ours"), Cell("11-point AP", "ours")]
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
    note = (
        f"AP is average precision at IoU 0.5: the area under the whole curve, and the mean at eleven recalls. In italics: "
        f"fewer than {FEW} cells. {NONE}: no cell to measure on, or nothing published. Source of the other columns: "
        f"{reference.source}."
    )
    return Section(
        "Average precision by class (the reference's Table 1)",
        tuple(_words(run) for run in runs),
        (Table("Average precision by class, ours and the reference's", tuple(head), tuple(rows), note),),
    )


def abnormal(runs: Sequence[Run], reference: Reference) -> Section:
    """Mean AP over the abnormal classes."""
    rows = [
        {"name": run.name, "value": run.summary.abnormal.map, "text": _abnormal_words(run), "look": "ours"} for run in runs
    ] + [
        {"name": f"{reference.short}, {name}", "value": value, "text": f"{value:.3f}", "look": ""}
        for name, value in reference.abnormal.mean_ap.items()
    ]
    alt = "Bars of mean average precision: " + "; ".join(f"{row['name']} {row['text']}" for row in rows)
    table = Table(
        "Mean AP over the abnormal classes",
        (Cell("system"), Cell("mean AP")),
        tuple((Cell(str(row["name"]), str(row["look"])), Cell(str(row["text"]))) for row in rows),
    )
    words = f"The mean is over {listed([in_words(name) for name in reference.abnormal.classes])}."
    own = [f"{run.name}: {run.summary.abnormal.words}" for run in runs if run.summary.abnormal.words]
    return Section(
        "Abnormal cells (the reference's Fig. 10)", (words, *own), (table,), (Markup(drawing("bars.svg", rows=rows, alt=alt)),)
    )


def _abnormal_words(run: Run) -> str:
    own = run.summary.abnormal
    if own.map is None:
        return "nothing known"
    known = [truth for name, truth in run.truths if own.ap.get(name) is not None]
    cells = f"{sum(known)} cells{', weak' if min(known, default=0) < FEW else ''}"
    return f"{own.map:.3f} ({len(known)} of {len(own.classes)} classes, {cells})"


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


def _common(runs: Sequence[Run], reference: Reference) -> tuple[Cell, ...]:
    """The only means that are over the same classes."""
    own = [run.summary.classes for run in runs]
    shared = [name for name in reference.classes if all(name in rows and rows[name].ap is not None for rows in own)]
    cells = [Cell(f"mean over the {len(shared)} classes all columns have")]
    for rows in own:
        all_point, eleven = ([_value(rows[name], key) for name in shared] for key in ("ap", "ap_11_point"))
        cells += [Cell(str(sum(rows[name].truth for name in shared)), "ours")]
        cells += [Cell(figure(_mean_of(values)), "ours") for values in (all_point, eleven)]
    columns = [reference.classes.index(name) for name in shared]
    cells += [Cell(figure(_mean_of([system.ap[k] for k in columns]))) for system in reference.systems]
    return tuple(cells)


def _value(row: ClassFigures, key: str) -> float:
    return float(getattr(row, key) or 0.0)


def _mean_of(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _mean(runs: Sequence[Run], reference: Reference) -> tuple[Cell, ...]:
    cells = [Cell("mAP over each column's own classes")]
    for run in runs:
        cells += [Cell(str(sum(n for _, n in run.truths)), "ours")]
        cells += [Cell(figure(run.summary.map), "ours"), Cell(figure(run.summary.map_11_point), "ours")]
    return (*cells, *(Cell(figure(system.map)) for system in reference.systems))


def _words(run: Run) -> str:
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
