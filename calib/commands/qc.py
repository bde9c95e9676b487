"""`leuko-calib qc`: the daily cell-location check on a reference slide."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.choices import EngineChoice


def qc(
    known: Annotated[Path, typer.Argument(help="the slide's known cells: JSON lines as `leuko-train data export` writes them")],
    fields: Annotated[Path, typer.Option(help="folder of today's images of the slide, under the names that the lines give")],
    history: Annotated[Path, typer.Option(help="file that the result is appended to: .jsonl or .csv")],
    profile: Annotated[Path | None, typer.Option(help="the instrument's profile, as runs use it")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="folder of the images that were annotated: today's are laid over them first")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="the model; the shipped one when not given")] = None,
    minimum: Annotated[float, typer.Option(min=0.01, max=0.999, help="share of known leukocytes that must be found")] = 0.9,
    engine: Annotated[EngineChoice, typer.Option(help="what computes")] = "auto",
    note: Annotated[str, typer.Option(help="goes on record, as who did it")] = "",
    picture: Annotated[Path | None, typer.Option(help="the trend; beside the history, as .png, when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Look for the known leukocytes of a reference slide, as a run with this profile does, and put the result on record.

    Exit code 0: pass, the lower 95 % limit of the share found is at least --minimum. 12: fail, the upper one is below it. 10:
    not decided, too few known cells. A field that is missing, damaged or of another place counts as not found.

    leuko-calib qc slide.jsonl --fields today/ --reference slide/ --profile profile.json --history qc.jsonl
    """
    from rich.console import Console

    from calib.daily_check import EXIT_CODES, Slide, as_lines, check_day

    drawn = picture or history.with_suffix(".png")
    checked = check_day(Slide(known, fields, reference), history, drawn, profile, bundle, minimum, engine, note)
    if as_json:
        told = checked.day.model_dump(mode="json") | {"complaints": checked.count.complaints, "picture": str(drawn)}
        print(json.dumps(told))
    else:
        console = Console(highlight=False)
        for line in as_lines(checked, history, drawn):
            console.print(line, soft_wrap=True)
    raise typer.Exit(EXIT_CODES[checked.day.verdict])
