"""`leuko-calib focus`: where fields are in focus, and how far from there they may be, from a z-stack."""

import json
from pathlib import Path
from typing import Annotated

import typer


def focus(
    stack: Annotated[str, typer.Argument(help="folder, glob or multi-page TIFF with images of one field at rising heights")],
    profile: Annotated[Path, typer.Option(help="the instrument's profile so far (um/px, camera)")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    step_um: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="distance between neighbouring images, in the order of their names")
    ] = None,
    heights: Annotated[Path | None, typer.Option(help="instead of it: CSV with the columns image and z_um")] = None,
    usable_share: Annotated[
        float, typer.Option(min=0.2, max=0.95, help="share of the peak's sharpness that is enough; chosen here")
    ] = 0.6,
    picture: Annotated[Path | None, typer.Option(help="the curve; beside the new profile, as .png, when not given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Find the sharpest height of a z-stack and the range around it that is sharp enough; write both to a profile.

    Take a field full of red cells, one image every 0.2 to 0.5 um, from clearly blurred through the focus to clearly blurred.

    leuko-calib focus stack/ --step-um 0.25 --profile profile.json --out profile-2.json
    """
    from rich.console import Console

    from calib.focus_profile import as_json as result_as_json
    from calib.focus_profile import as_lines, measure_focus
    from calib.plots import write_focus_plot
    from edge.contracts.errors import ConfigError, ProfileError
    from edge.contracts.profile import load_profile, write_profile

    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    if (step_um is None) == (heights is None):
        raise ConfigError("say how high each image was taken: --step-um where they are evenly apart, or --heights FILE.")
    drawn = picture or out.with_suffix(".png")
    if picture is None and drawn.exists():
        raise ProfileError(f"the picture of the curve would overwrite {drawn}; name another file with --picture.")
    before, _ = load_profile(profile)
    after, measured = measure_focus(before, stack, step_um if heights is None else heights, usable_share)  # type: ignore[arg-type]
    write_focus_plot(drawn, measured, usable_share)
    digest = write_profile(out, after)
    if as_json:
        print(json.dumps(result_as_json(measured, out, digest, drawn)))
        return
    console = Console(highlight=False)
    for line in as_lines(measured, out, drawn):
        console.print(line, soft_wrap=True)
