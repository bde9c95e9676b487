"""`leuko-calib scale-check`: whether a um/px can be right, from the red cells of ordinary fields."""

import json
from pathlib import Path
from typing import Annotated

import typer


def scale_check(
    source: Annotated[
        str, typer.Argument(help="ordinary fields of a smear: a folder, a video, a camera, as for leuko-edge run")
    ],
    um_per_px: Annotated[float | None, typer.Option(min=0.001, max=10, help="what is stated, to be held against them")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="instead of it: the profile whose um/px is to be held against them")
    ] = None,
    fields: Annotated[int, typer.Option(min=1, max=10_000, help="look at no more than so many")] = 64,
    picture: Annotated[Path | None, typer.Option(help="fields with the red cells that were measured, as an image")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure single red cells, which are 6.7 to 7.7 um across, and say what um/px they stand for.

    It is no calibration: patients and stains differ by some 7 %. It finds a wrong objective, a binning or a typing slip.
    Exit code 10 when it contradicts the um/px that is stated.

    leuko-calib scale-check slide-images/ --um-per-px 0.13
    """
    from rich.console import Console

    from calib.red_cell_check import as_json as result_as_json
    from calib.red_cell_check import as_lines, check_scale
    from edge.contracts.errors import ConfigError, ProfileError
    from edge.contracts.profile import load_profile

    if um_per_px is not None and profile is not None:
        raise ConfigError("give --um-per-px or --profile, not both: one um/px is held against the red cells.")
    stated = um_per_px
    if profile is not None:
        if (measured := load_profile(profile)[0].pixel_size) is None:
            raise ProfileError(f"{profile} states no um/px; measure it with `leuko-calib pixel-size`, or give --um-per-px.")
        stated = measured.um_per_px
    found = check_scale(source, stated, fields, picture)
    if as_json:
        print(json.dumps(result_as_json(found, stated, picture)))
    else:
        console = Console(highlight=False)
        for line in as_lines(found, stated, picture):
            console.print(line, soft_wrap=True)
    if stated is not None and found.contradicts(stated):
        raise typer.Exit(10)
