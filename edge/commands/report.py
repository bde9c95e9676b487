"""`leuko-edge report`: what a run of a journal has found."""

from pathlib import Path
from typing import Annotated

import typer

from edge.commands.runs import JournalOption, RunArgument
from edge.settings import DEFAULT_JOURNAL


def report(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    html: Annotated[Path | None, typer.Option(help="page to write: one file that needs nothing else")] = None,
    crops: Annotated[Path | None, typer.Option(help="folder of --keep-crops, when it was moved")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output")] = False,
) -> None:
    """Say what a run has found: the differential with its limits, fields, events, what it rests on, and whether it is whole.

    leuko-edge report RUN --html report.html

    A run that goes on, was interrupted or has failed fields is reported as far as it went, as provisional.

    Exit code 0, or 8 when the records are not those that were written.
    """
    from edge.reports.report_text import tell_report

    tell_report(journal, run, html, crops, as_json=as_json)
