"""`leuko-edge runs`: what a journal holds, with or without an edge running."""

from pathlib import Path
from typing import Annotated

import typer

from edge.settings import DEFAULT_JOURNAL

runs = typer.Typer(
    help="List, show, export, verify and review the runs of a journal.", no_args_is_help=True, add_completion=False
)

JournalOption = Annotated[Path, typer.Option("--journal", help="file that `leuko-edge run` writes")]
RunArgument = Annotated[str, typer.Argument(help="id of a run, or how it begins")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


@runs.command("list")
def list_runs(journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> None:
    """Every run, oldest first: its slide, how it ended, and how many of its records no controller has acknowledged."""
    from edge.watch.journal_text import tell_runs

    tell_runs(journal, as_json)


@runs.command()
def show(run: RunArgument, journal: JournalOption = DEFAULT_JOURNAL, as_json: JsonOption = False) -> None:
    """Beginning and end of one run: what it depended on, and its sums."""
    from edge.watch.journal_text import tell_run

    tell_run(journal, run, as_json)


@runs.command()
def export(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    out: Annotated[Path | None, typer.Option(help="file to write; standard output when not given")] = None,
) -> None:
    """Every record of one run as it was journalled, one JSON object a line, in order of seq."""
    from edge.watch.journal_text import export_run

    export_run(journal, run, out)


@runs.command()
def trace(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    out: Annotated[Path | None, typer.Option(help="file to write, *.json; standard output when not given")] = None,
) -> None:
    """The times of a run's stages as a trace (Trace Event Format): open it in ui.perfetto.dev or chrome://tracing.

    Each field is a bar from its exposure to its record, with its stages on it.
    """
    from edge.watch.journal_text import trace_run

    trace_run(journal, run, out)


@runs.command()
def verify(
    journal: JournalOption = DEFAULT_JOURNAL,
    run: Annotated[str | None, typer.Argument(help="id of a run, or how it begins; all when not given")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the hash chain of one or all runs: a record that was changed, removed or moved since is found.

    The last link of a whole run, noted elsewhere, proves later that nobody has written the run anew.

    What people have said of a run's cells has a chain of its own, which begins with that link.

    Exit code 0 when every run is whole, 8 when one is not.
    """
    from edge.watch.journal_text import verify_runs

    verify_runs(journal, run, as_json)


@runs.command()
def review(
    run: RunArgument,
    csv: Annotated[Path, typer.Option("--csv", help="sheet with the columns cell, label, who and why")],
    journal: JournalOption = DEFAULT_JOURNAL,
) -> None:
    """Append what people say of a run's cells: relabelled, rejected, confirmed or added. The records stay as they are.

    `leuko-edge export RUN --as csv --out DIR` writes DIR/review.csv to fill: a class, reject or confirm, and who says so. A row
    whose cell is `new`, with field_index, x_px and y_px, adds a cell that the model has missed. All rows are taken or, with a
    sentence about the first that cannot be, none.
    """
    from edge.reports.reviewing import review_run

    review_run(journal, run, csv)
