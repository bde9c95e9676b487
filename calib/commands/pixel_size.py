"""`leuko-calib pixel-size`: um/px from an image of a stage micrometer."""

import json
from pathlib import Path
from typing import Annotated

import typer


def pixel_size(
    image: Annotated[
        Path,
        typer.Argument(
            help="image of the stage micrometer, taken with the camera's full field; or a CSV file with the columns image, "
            "x_um and y_um, of images of one specimen at known stage positions"
        ),
    ],
    out: Annotated[Path, typer.Option(help="the new profile")],
    line_spacing_um: Annotated[
        float | None, typer.Option(min=0.1, max=1000, help="distance between two neighbouring lines of the micrometer")
    ] = None,
    again: Annotated[Path | None, typer.Option(help="a second image of the micrometer, which must agree")] = None,
    check_with: Annotated[
        str | None, typer.Option(help="ordinary fields of a smear (folder, video), whose red cells must agree")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="the image with the lines that were found; beside the profile, as .png, when not given")
    ] = None,
    instrument: Annotated[str, typer.Option(help="name of the instrument")] = "unnamed",
    objective: Annotated[str | None, typer.Option(help="for example 50x/0.95")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure um/px on a stage micrometer, or from known stage moves, and write it to a profile.

    What cannot be told for certain is refused: fewer than five lines, lines off a regular scale, finer lines that are seen
    but too short or too faint, stripes that flickering light may have made; moves that do not agree with one another.

    leuko-calib pixel-size micrometer.png --line-spacing-um 10 --out profile.json --instrument "bench 3"

    leuko-calib pixel-size moves.csv --out profile.json --check-with slide-images/
    """
    from os.path import realpath as real  # a loop of links is an error of Path.resolve

    from rich.console import Console

    from calib.measured_profile import as_json as result_as_json
    from calib.measured_profile import as_lines, measure_profile
    from calib.moved_profile import measure_moved_profile, moves_as_json, moves_as_lines
    from calib.scale_agreement import agree_with_cells, agree_with_image
    from edge.contracts.errors import ConfigError, ProfileError
    from edge.contracts.profile import write_profile

    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    drawn = picture or out.with_suffix(".png")
    if real(drawn) in {real(image), real(out)} or (picture is None and drawn.exists()):
        raise ProfileError(f"the picture of the lines would overwrite {drawn}; name another file with --picture.")
    if image.suffix.lower() == ".csv":
        if line_spacing_um is not None or again is not None or picture is not None:
            raise ConfigError("--line-spacing-um, --again and --picture are for images of a micrometer, not for stage moves.")
        profile, moves = measure_moved_profile(image, instrument, objective)
        agreed = [] if check_with is None else [agree_with_cells(moves.um_per_px, check_with)]
        digest = write_profile(out, profile)
        said, lines = moves_as_json(profile, moves, out, digest), moves_as_lines(profile, moves, out)
    else:
        if line_spacing_um is None:
            raise ConfigError("give the distance between two neighbouring lines of the micrometer with --line-spacing-um.")
        profile, scale = measure_profile(image, line_spacing_um, instrument, objective, drawn)
        um_per_px = profile.measured_scale.um_per_px
        if again is not None:
            agree_with_image(um_per_px, again, line_spacing_um)
        agreed = [] if check_with is None else [agree_with_cells(um_per_px, check_with)]
        digest = write_profile(out, profile)
        said, lines = result_as_json(profile, scale, out, digest, drawn), as_lines(profile, scale, out, drawn)
    if as_json:
        print(json.dumps(said))
        return
    console = Console(highlight=False)
    for line in (*lines, *agreed):
        console.print(line, soft_wrap=True)
