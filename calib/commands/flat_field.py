"""`leuko-calib illumination`: the light over the field and its colour, from blank fields."""

import json
from pathlib import Path
from typing import Annotated

import typer


def illumination(
    source: Annotated[str, typer.Argument(help="blank fields: folder:PATH, or any source of the edge")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    profile: Annotated[Path | None, typer.Option(help="the instrument's profile so far; a new one is begun without")] = None,
    fields: Annotated[int, typer.Option(min=3, max=500, help="at most so many fields are used")] = 30,
    valid_days: Annotated[int, typer.Option(min=1, max=3650, help="from then on the edge asks for it anew")] = 90,
    picture: Annotated[
        Path | None, typer.Option(help="the light over the field; beside the new profile, as .png, when not given")
    ] = None,
    instrument: Annotated[str, typer.Option(help="name of the instrument, for a new profile")] = "unnamed",
    objective: Annotated[str | None, typer.Option(help="for example 50x/0.95, for a new profile")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure flat field and white balance on blank fields; the edge corrects both in the copy into the slot.

    Take ten empty places of a clean slide with the light, exposure and gain that you scan with, all automatics off.

    leuko-calib illumination blank/ --profile profile.json --out profile-2.json
    """
    from rich.console import Console

    from calib.measured_light import as_json as result_as_json
    from calib.measured_light import as_lines, measure_light, write_light_picture
    from calib.profile_parts import begun_or_read, require_free
    from edge.contracts.profile import write_profile

    drawn = picture or out.with_suffix(".png")
    require_free(out, drawn, picture is not None)
    after = measure_light(source, begun_or_read(profile, instrument, objective), fields, valid_days)
    assert after.illumination is not None
    write_light_picture(drawn, after.illumination)
    digest = write_profile(out, after)
    if as_json:
        print(json.dumps(result_as_json(after.illumination, out, digest, drawn)))
        return
    console = Console(highlight=False)
    for line in as_lines(after.illumination, out, drawn):
        console.print(line, soft_wrap=True)
