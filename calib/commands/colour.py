"""`leuko-calib colour`: the colours of an instrument and its stain, from ordinary fields."""

import json
from pathlib import Path
from typing import Annotated

import typer


def colour(
    source: Annotated[str, typer.Argument(help="ordinary fields of this instrument and stain: folder:PATH, or any source")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    um_per_px: Annotated[
        float | None, typer.Option(min=0.001, max=10, help="scale of the fields; the profile's when not given")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="the instrument's profile so far; a new one is begun without")] = None,
    bundle: Annotated[Path | None, typer.Option(help="model whose colours are asked for; the shipped one without")] = None,
    fields: Annotated[int, typer.Option(min=10, max=2000, help="at most so many fields are used")] = 100,
    valid_days: Annotated[int, typer.Option(min=1, max=3650, help="from then on the edge asks for it anew")] = 90,
    picture: Annotated[
        Path | None, typer.Option(help="fields before and after; beside the new profile, as .png, when not given")
    ] = None,
    instrument: Annotated[str, typer.Option(help="name of the instrument, for a new profile")] = "unnamed",
    objective: Annotated[str | None, typer.Option(help="for example 50x/0.95, for a new profile")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure the colours of empty slide, red cells and nuclei; the edge moves them to those that its model knows.

    No annotation is needed: some tens of ordinary fields of several slides, as you scan them, all automatics off. Measure the
    light first (`leuko-calib illumination`) where the corners are darker than the middle.

    leuko-calib colour folder:fields/ --profile profile.json --out profile-2.json
    """
    from rich.console import Console

    from calib.measured_colours import as_json as result_as_json
    from calib.measured_colours import as_lines, measure_colours, write_before_and_after
    from calib.profile_parts import begun_or_read, require_free
    from edge.contracts.bundle import load_bundle
    from edge.contracts.profile import write_profile
    from edge.settings import SHIPPED_BUNDLE

    drawn = picture or out.with_suffix(".png")
    require_free(out, drawn, picture is not None)
    before = begun_or_read(profile, instrument, objective)
    measured = measure_colours(source, before, um_per_px, load_bundle(bundle or SHIPPED_BUNDLE), fields, valid_days)
    write_before_and_after(drawn, measured.shown)
    digest = write_profile(out, measured.profile)
    if as_json:
        print(json.dumps(result_as_json(measured, out, digest, drawn)))
        return
    console = Console(highlight=False)
    for line in as_lines(measured, out, drawn):
        console.print(line, soft_wrap=True)
