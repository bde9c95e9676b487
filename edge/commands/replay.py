"""`leuko-edge replay`: a run counted once more, to prove its result."""

from typing import Annotated

import typer

from edge.commands.runs import JournalOption, RunArgument
from edge.settings import DEFAULT_JOURNAL


def replay(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output")] = False,
) -> None:
    """Count a run once more from its records, and prove that its counts, its differential and its advice follow from them.

    The detections of every field are taken as recorded; all sums are made anew by the code that made them.

    Exit code: 0 the same, byte for byte; 10 something differs, and is named; 8 the records are not those that were written.
    """
    from edge.local.replay import replay_run

    raise typer.Exit(replay_run(journal, run, as_json=as_json))
