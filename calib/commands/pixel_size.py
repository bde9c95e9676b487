"""`leuko-calib pixel-size`: um/px from an image of a stage micrometer."""

import json
from pathlib import Path
from typing import Annotated

import typer


def pixel_size(
    image: Annotated[Path, typer.Argument(help="image of the stage micrometer, taken with the camera's full field")],
    line_spacing_um: Annotated[float, typer.Option(min=0.1, max=1000, help="distance between two neighbouring lines")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    picture: Annotated[
        Path | None, typer.Option(help="the image with the lines that were found; beside the profile, as .png, when not given")
    ] = None,
    instrument: Annotated[str, typer.Option(help="name of the instrument")] = "unnamed",
    objective: Annotated[str | None, typer.Option(help="for example 50x/0.95")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure um/px on a stage micrometer and write it to a profile, with a picture of the lines that were found.

    What cannot be told for certain is refused: fewer than five lines, lines off a regular scale, finer lines that are seen
    but too short or too faint, stripes that flickering light may have made.

    leuko-calib pixel-size micrometer.png --line-spacing-um 10 --out profile.json --instrument "bench 3"
    """
    from os.path import realpath as real  # a loop of links is an error of Path.resolve

    from rich.console import Console

    from calib.measured_profile import as_json as result_as_json
    from calib.measured_profile import as_lines, measure_profile
    from edge.contracts.errors import ProfileError
    from edge.contracts.profile import write_profile

    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    drawn = picture or out.with_suffix(".png")
    if real(drawn) in {real(image), real(out)} or (picture is None and drawn.exists()):
        raise ProfileError(f"the picture of the lines would overwrite {drawn}; name another file with --picture.")
    profile, scale = measure_profile(image, line_spacing_um, instrument, objective, drawn)
    digest = write_profile(out, profile)
    if as_json:
        print(json.dumps(result_as_json(profile, scale, out, digest, drawn)))
        return
    console = Console(highlight=False)
    for line in as_lines(profile, scale, out, drawn):
        console.print(line, soft_wrap=True)
