"""`leuko-edge replay`: a run counted once more, to prove its result."""

from pathlib import Path
from typing import Annotated

import typer

from edge.commands.runs import JournalOption, RunArgument
from edge.settings import DEFAULT_JOURNAL


def replay(
    run: RunArgument,
    journal: JournalOption = DEFAULT_JOURNAL,
    pixels: Annotated[bool, typer.Option("--pixels", help="compute the fields anew, too, from frames that were kept")] = False,
    frames: Annotated[
        str | None, typer.Option(help="where these are now: a recording, or the images that were counted; implies --pixels")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="where the run's bundle is now")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output")] = False,
) -> None:
    """Count a run once more from its records, and prove that its counts, its differential and its advice follow from them.

    The detections of every field are taken as recorded; all sums are made anew by the code that made them.
    With --pixels the detections are made anew, too, by the same engine in batches of the same fields.

    Exit code: 0 the same, byte for byte; 10 something differs, and is named; 8 the records are not those that were written;
    2 the run was computed otherwise, 3 its bundle or profile, 4 its frames, 5 its engine cannot be had.
    """
    from edge.local.recompute import Pixels
    from edge.local.replay import replay_run

    raise typer.Exit(replay_run(journal, run, Pixels(frames, bundle) if pixels or frames else None, as_json=as_json))
