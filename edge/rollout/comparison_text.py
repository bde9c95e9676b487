"""A comparison of two bundles on the terminal, and the same as a page."""

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.contracts.errors import ConfigError, first_line
from edge.contracts.whole_file import write_whole
from edge.rollout.bundle_comparison import Comparison, LabelRow, SideFigures

_WIDTH = 120
_MOST_CHANGES = 12
_VERDICTS = {
    "within": "WITHIN LIMITS: what differs is less than the chance of such a count",
    "outside": "OUTSIDE THE LIMITS: the new bundle counts otherwise",
    "undecided": "UNDECIDED: too little was compared",
}


def show_comparison(found: Comparison, console: Console) -> None:
    """Print it: the two, their cells, a table by label, times, and the verdict."""
    for name, side in (("current", found.current), ("new", found.new)):
        console.print(Text(f"{name:<9}{side.name} (bundle {side.bundle_id[:12]}, {side.path}), {side.engine}"))
        console.print(Text(f"         thresholds: {side.thresholds_from or 'the default'}"))
        for warning in side.warnings:
            console.print(Text(f"         note: {warning}"))
    left_out = ", ".join(f"{n} {why}" for why, n in found.left_out.items())
    console.print(Text(f"fields   {found.fields} compared{f'; left out: {left_out}' if left_out else ''}"))
    if found.fields_recorded:
        same = f"{found.recorded_otherwise} of {found.fields_recorded} have other counts on record than the current bundle"
        console.print(
            Text(f"         {same} gives here" if found.recorded_otherwise else "         as the service has counted them")
        )
    console.print(Text(_cells_line(found)))
    for change in found.label_changes[:_MOST_CHANGES]:
        console.print(Text(f"         {change.cells} {change.was} now {change.now}"))
    if len(found.label_changes) > _MOST_CHANGES:
        console.print(Text(f"         and {len(found.label_changes) - _MOST_CHANGES} other changes; --json has them"))
    console.print(_table(found))
    console.print(Text(f"time     one field at a time, here: current {_times(found.current)}, new {_times(found.new)}"))
    console.print(Text(f"verdict  {_VERDICTS[found.verdict]}"))
    for reason in found.reasons:
        console.print(Text(f"         {reason}"))


def _cells_line(found: Comparison) -> str:
    overlap = f" (median IoU {found.median_iou:.3f})" if found.median_iou is not None else ""
    return (
        f"cells    {found.matched} found by both{overlap}, {found.relabelled} of them with another label; "
        f"{found.only_current} by the current bundle only, {found.only_new} by the new one only; "
        f"counts differ in {found.fields_that_differ} fields"
    )


def _table(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("label")
    for name in ("current", "%", "95 % limits", "new", "%", ""):
        table.add_column(name, justify="right")
    for row in found.rows:
        table.add_row(row.label, *_columns(row))
    was, now = found.current, found.new
    table.add_row("leukocytes", str(was.leukocytes), "", "", str(now.leukocytes), "", "")
    return table


def _columns(row: LabelRow) -> tuple[str, ...]:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    limits = "" if row.low_percent is None else f"{percent(row.low_percent)} - {percent(row.high_percent)}"
    said = "outside" if row.within is False else ""
    return str(row.current), percent(row.current_percent), limits, str(row.new), percent(row.new_percent), said


def _times(side: SideFigures) -> str:
    if side.median_ms is None or side.p95_ms is None:
        return "not measured"
    return f"{side.median_ms:.1f} ms (95 % within {side.p95_ms:.1f} ms)"


def write_comparison_page(found: Comparison, path: Path) -> None:
    """The same text as one HTML file. Raises `ConfigError` when it cannot be written."""
    console = Console(record=True, width=_WIDTH, file=StringIO(), highlight=False)
    show_comparison(found, console)
    try:
        write_whole(path, console.export_html())
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({first_line(problem)}); give another file with --html.") from problem
