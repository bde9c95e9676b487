"""`leuko-calib stage`: the way from pixels to the stage, backlash and repeatability, from a grid of moves."""

import json
from pathlib import Path
from typing import Annotated

import typer


def stage(
    grid: Annotated[str, typer.Argument(help="folder or glob with one image at each position")],
    moves: Annotated[
        Path, typer.Option(help="CSV: image, x_um, y_um; the commanded position of each image, in the order of time")
    ],
    profile: Annotated[Path, typer.Option(help="the instrument's profile so far")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    valid_days: Annotated[int, typer.Option(min=1, max=3650, help="from then on the edge asks for it anew")] = 365,
    picture: Annotated[
        Path | None, typer.Option(help="how far each image was off; beside the new profile, as .png, when not given")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure how the camera lies over the stage, and how exactly the stage goes where it is told.

    Move over 4 x 4 positions or more, in rows to and fro and then back the same way, by steps of half a field, on a smear full
    of single red cells; one image at each. The way back shows the backlash of both axes and how well a position is found again.

    leuko-calib stage grid/ --moves grid.csv --profile profile.json --out profile-2.json
    """
    from rich.console import Console

    from calib.profile_parts import require_free
    from calib.stage_picture import write_stage_plot
    from calib.stage_profile import as_json as result_as_json
    from calib.stage_profile import as_lines, measure_stage
    from edge.contracts.profile import load_profile, write_profile

    drawn = picture or out.with_suffix(".png")
    require_free(out, drawn, picture is not None)
    after, measured = measure_stage(load_profile(profile)[0], grid, moves, valid_days)
    write_stage_plot(drawn, measured)
    digest = write_profile(out, after)
    if as_json:
        print(json.dumps(result_as_json(measured, out, digest, drawn)))
        return
    console = Console(highlight=False)
    for line in as_lines(measured, out, drawn):
        console.print(line, soft_wrap=True)
