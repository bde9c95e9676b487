"""The figures of one evaluation as a table for a terminal."""

from rich.console import Console
from rich.table import Table

from trainer.evaluation.laboratory_table import laboratories_table
from trainer.evaluation.summary import ClassFigures, EmptyFields, Figure, Subset, Summary


def show(summary: Summary, as_json: bool) -> None:
    """Print it: as one JSON document, or as a table."""
    if as_json:
        print(summary.model_dump_json(indent=1), flush=True)
    else:
        console = Console()
        console.print(table_of(summary))
        if summary.laboratories:
            console.print(laboratories_table(summary.laboratories))


def table_of(summary: Summary) -> Table:
    """Classes without truth share one row."""
    table = Table(title=f"{summary.images} images of split {summary.split}, {summary.engine}", title_justify="left")
    for heading in ("what", "truth", "AP", "11-point", "recall (95 %)", "precision"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row("any leukocyte", *figures_of(summary.wbc))
    for name, ap in summary.wbc_ap_by_source.items():
        table.add_row(f"  of {name}", "", figure(ap))
    for name, row in summary.classes.items():
        if row.truth:
            table.add_row(name, *figures_of(row))
    table.add_row("mean over classes", "", figure(summary.map), figure(summary.map_11_point))
    for name, subset in (("small cells", summary.subsets.small_cells), ("dense scenes", summary.subsets.dense)):
        table.add_row(f"  {name}", str(subset.truth), figure(subset.wbc_ap))
        table.add_row(f"  {name}, mean", "", figure(subset.map))
    missing = [name for name, row in summary.classes.items() if not row.truth]
    said = remarks(summary) + ([f"no image shows: {', '.join(missing)}."] if missing else [])
    table.caption, table.caption_justify = "\n".join(said), "left"
    return table


def _false_in_empty(empty: EmptyFields | None) -> list[str]:
    if empty is None:
        return []
    return [
        f"{empty.false_leukocytes} false leukocytes in {empty.images} images without a cell ({empty.fields:.0f} fields of "
        f"95 x 75 um): {empty.per_1000:.0f} in 1,000 fields, with 95 % no more than {empty.high_per_1000:.0f}."
    ]


def _of_untaught(summary: Summary) -> list[str]:
    """What cells are called of which it was taught no photograph, beside how often the others are `unidentified`."""
    if summary.teaching is None or not summary.teaching.untaught.found:
        return []
    no, yes = summary.teaching.untaught, summary.teaching.taught
    said = (
        f"taught on no photograph: {', '.join(no.classes)}; of {no.found} cells found of {no.cells} {no.right} are right and "
        f"{no.unidentified} unidentified, {no.called_another} are called a class that they are not: right or unidentified "
        f"{figure(no.right_or_unidentified)} (95 % {figure(no.low)} to {figure(no.high)})."
    )
    if yes.found:
        said += f" Of {yes.found} cells found of classes that it was taught {yes.unidentified} are unidentified."
    called = [f"{name}: {', '.join(f'{k} {n}' for k, n in row.items())}." for name, row in summary.teaching.called.items()]
    where = summary.teaching.elsewhere
    return [said, *called, *([f"these with `{where}`."] if where else [])]


def remarks(summary: Summary) -> list[str]:
    """What is no row of the table, a sentence each."""
    count, single = summary.counting, summary.confusion
    said = [
        *([summary.caution] if summary.caution else []),
        f"abnormal classes: {figure(summary.abnormal.map)}, {summary.abnormal.words}",
        f"mean accuracy on {single.n} images of one typed cell: {figure(single.mean_accuracy)}; with the likeliest class where "
        f"it is uncertain {figure(single.mean_accuracy_best_class)}.",
        f"{count.counted} leukocytes counted where the annotation has {count.true}; mean absolute error "
        f"{count.mean_absolute_error:.3f} per image.",
        *_false_in_empty(summary.empty),
        *_of_untaught(summary),
        *(_rule(name, s) for name, s in (("small cells", summary.subsets.small_cells), ("dense", summary.subsets.dense))),
    ]
    for name, spread in (("engine", summary.time_ms.engine), ("whole way", summary.time_ms.whole)):
        if spread.median is not None:
            said.append(
                f"{name}: median {spread.median:.1f} ms, p95 {spread.p95:.1f}, p99 {spread.p99:.1f} over {spread.n} images."
            )
    if summary.limits:
        pairs = (("any leukocyte", summary.limits.wbc_ap), ("mAP", summary.limits.map))
        shown = ", ".join(f"{name} {pair[0]:.3f} to {pair[1]:.3f}" for name, pair in pairs if pair)
        said.append(f"95 % limits: {shown} ({summary.limits.rounds} rounds, {summary.limits.resampled}).")
    if folds := summary.folds:
        rows = (("any leukocyte", folds.mean_wbc_ap, folds.wbc_ap), ("mAP", folds.mean_map, folds.map))
        shown = "; ".join(f"{name} {figure(mean)} ({', '.join(map(figure, each))})" for name, mean, each in rows)
        said.append(f"mean over {len(folds.map)} folds, each model by itself: {shown}.")
    return said


def figure(value: Figure) -> str:
    """Three decimals, or that there is no truth."""
    return "no truth" if value is None else f"{value:.3f}"


def recall_with_limits(row: ClassFigures) -> str:
    """`0.950 (0.920-0.970)`."""
    if row.recall is None:
        return "no truth"
    return f"{row.recall:.3f} ({row.recall_low:.3f}-{row.recall_high:.3f})"


def figures_of(row: ClassFigures) -> tuple[str, ...]:
    """Truth, AP, 11-point AP, recall with its limits, precision."""
    # Precision has no figure where nothing was called by this name, truth or not.
    precision = "none called" if row.precision is None else f"{row.precision:.3f}"
    return str(row.truth), figure(row.ap), figure(row.ap_11_point), recall_with_limits(row), precision


def _rule(name: str, subset: Subset) -> str:
    return f"{name}: {subset.rule}; {subset.truth} cells in {subset.images} images."
