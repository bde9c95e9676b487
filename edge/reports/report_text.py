"""`leuko-edge report`: a run on the terminal, as JSON, and as a page to keep."""

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.contracts.errors import ConfigError, JournalError, first_line
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import write_whole
from edge.reports.kept_pictures import pictures_of_cells
from edge.reports.opened_run import OpenedRun, opened_run
from edge.reports.report_html import html_of
from edge.reports.run_report import BASES, Report, ReportedSums
from edge.watch.record_text import counts, differential_rows, legend, non_wbc

_MOST_REMARKS = 12
_CROPS = 24
"""Of each label, on the page."""


def tell_report(journal: Path, run_id: str, html: Path | None, crops: Path | None, *, as_json: bool) -> None:
    """Print the report and write the page. Raises `JournalError` when the records are not whole, after all was said."""
    opened = opened_run(journal, run_id)
    report = opened.report
    if html is not None:
        notes = write_page(report, expanded(html), crops)
        notes += [opened.note(f"html {html}")]
        for note in filter(None, notes):
            Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(note)
    if as_json:
        print(report.model_dump_json())
    else:
        show(report, Console(highlight=False))
    refuse_broken(opened)


def refuse_broken(opened: OpenedRun) -> None:
    """Raises `JournalError` when the records are not those that were written, or some may be missing."""
    if opened.lacks:
        raise JournalError(f"{opened.lacks}; put both files side by side. What is here was read.")
    if opened.report.chain.is_whole is False:
        raise JournalError(
            f"run {opened.report.run_id} of journal {opened.journal} is not as it was written ({opened.report.chain.verdict}); "
            "restore the file from a copy, and believe nothing of it until then."
        )


def write_page(report: Report, path: Path, crops: Path | None) -> list[str]:
    """Write the page with pictures of cells, from `crops` or where the run kept them; what could not be shown, in sentences.

    Raises `ConfigError` when it cannot be written.
    """
    pictures = pictures_of_cells(report, crops, _CROPS)
    try:
        write_whole(path, html_of(report, pictures.by_label))
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({first_line(problem)}); give another file with --html.") from problem
    return pictures.said


def show(report: Report, console: Console) -> None:
    """The report as text and tables, on a terminal of any width."""
    for line in _head(report):
        console.print(Text(line))
    result = report.result.differential
    console.print(Text(f"differential over {result.wbc_total} WBC, {BASES[report.result.basis]}"))
    table = Table()
    for name in ("class", "count", "%", "95 % limits"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for row in differential_rows(result):
        table.add_row(*row)
    console.print(table, Text(f"per 100 WBC: {non_wbc(result)}"))
    for sums in (report.result, *report.beside):
        console.print(Text(f"{sums.differential.wbc_total:>5} WBC  {BASES[sums.basis]}: {counts(sums.cells)}"))
    for flag in report.flags:
        console.print(Text(f"FLAG     {flag}"))
    for line in _remarks(report):
        console.print(Text(line))
    console.print(Text(legend({label for sums in (report.result, *report.beside) for label in _labels(sums)})))


def _labels(sums: ReportedSums) -> set[str]:
    return set(sums.cells) | {row.label for row in sums.differential.rows}


def _head(report: Report) -> Iterable[str]:
    what, chain = report.provenance, report.chain
    names = f"slide {report.slide_id or '-'}, sample {report.sample_id or '-'}"
    yield f"run      {report.run_id}, {names}"
    yield f"state    {report.state.upper()}" + (f": {report.why}" if report.why else "")
    yield from (f"MARK     {mark}" for mark in report.marks)
    ended = f"ended {report.ended} ({report.outcome})" if report.ended else "not ended"
    yield f"time     began {report.began}, {ended}"
    if report.detail:
        yield f"detail   {report.detail}"
    ends = ", ".join(f"{n} {status.value}" for status, n in report.field_ends.items()) or "none"
    yield f"fields   {report.triggers}: {ends}"
    if bad := [one for one in report.fields if one.bad]:
        yield f"quality  {len(bad)} fields came out badly, {sum(one.left_out for one in bad)} of them are left out of the count"
    if report.stop:
        yield f"stop     {report.stop}"
    if report.reviewed:
        yield f"reviewed {report.reviewed}"
    yield f"model    {what.bundle_name} (bundle {what.bundle_id[:12]}), profile {report.profile or 'none'}"
    yield f"engine   {what.engine}, on {what.host}, leukostream {what.leukostream_version}"
    reviews = f", {chain.reviews} reviews with last link {chain.last_review_link}" if chain.reviews else ""
    yield f"records  {chain.records}, chain {chain.verdict}, last link {chain.last_link or '-'}{reviews}"


def _remarks(report: Report) -> Iterable[str]:
    for one in report.remarks[:_MOST_REMARKS]:
        yield f"{one.kind:<8} {one.code}: {one.message}"
    if (more := len(report.remarks) - _MOST_REMARKS) > 0:
        yield f"and {more} more; --json and --html have them"
