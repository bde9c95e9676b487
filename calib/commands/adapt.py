"""`leuko-calib adapt`: which images of one's own laboratory are worth annotating, made ready for it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.choices import AnnotationFormat


def adapt(
    source: Annotated[
        str, typer.Argument(help="fields of several slides: a folder, a glob, a video, or what `leuko-edge run` kept")
    ],
    out: Annotated[Path, typer.Option(help="new folder for images and labels")],
    bundle: Annotated[Path | None, typer.Option(help="the model to adapt; the shipped one when not given")] = None,
    um_per_px: Annotated[float | None, typer.Option(min=0.001, max=10, help="size of a pixel of the source")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="the instrument's profile: its um/px, light and colours, and thresholds where they hold")
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=1000, help="fields to choose")] = 30,
    fields: Annotated[int, typer.Option(min=1, max=1_000_000, help="look at no more than so many")] = 2000,
    slide_by: Annotated[
        str | None, typer.Option(help="regular expression whose first group is the slide in a field's name")
    ] = None,
    as_format: Annotated[AnnotationFormat, typer.Option("--format", help="what the annotation tool opens")] = "yolo",
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Choose the fields that tell a model most, and write them with the model's own boxes, to be corrected.

    Chosen are fields with cells near a threshold, unidentified ones, nuclei that were not found and odd colours, slide after
    slide, no two that show the same, and some in which nothing was found. Then correct them in any tool that opens YOLO or
    COCO, and type the two commands that are printed.

    leuko-calib adapt slides/ --um-per-px 0.13 --images 30 --out lab
    """
    from rich.console import Console

    from calib.annotation_choice import prepare
    from calib.annotation_set import CHOSEN
    from calib.shown_fields import shown_by
    from edge.contracts.bundle import load_bundle
    from edge.contracts.errors import ConfigError
    from edge.contracts.profile import load_profile
    from edge.settings import SHIPPED_BUNDLE

    if um_per_px is not None and profile is not None:
        raise ConfigError("give --um-per-px or --profile, not both: the images have one um/px.")
    model = load_bundle(bundle or SHIPPED_BUNDLE)
    shown = None
    if profile is not None:
        measured, _ = load_profile(profile)
        um_per_px = measured.measured_scale.um_per_px
        shown = shown_by(measured, profile, model)
    done = prepare(source, um_per_px, model, shown, out, count=images, most=fields, slide_by=slide_by, as_format=as_format)
    if as_json:
        result = {
            "folder": str(out),
            "looked_at": done.looked_at,
            "slides": done.n_slides,
            "um_per_px": done.um_per_px,
            "warnings": done.warnings,
            "commands": done.commands,
            "chosen": [
                {"field": each.field.name, "slide": each.slide, "doubt": each.field.doubt, "why": each.reasons}
                for each in done.chosen
            ],
        }
        print(json.dumps(result))
        return
    console = Console(highlight=False, markup=False)
    boxes = sum(len(each.field.cells) for each in done.chosen)
    where = f"{out}, with {boxes} boxes of the model's; {out / CHOSEN} says why each was chosen"
    of = f"{done.looked_at} fields of {done.n_slides} slide{'' if done.n_slides == 1 else 's'}"
    console.print(f"{len(done.chosen)} of {of} are in {where}", soft_wrap=True)
    for warning in done.warnings:
        console.print(f"mind: {warning}", soft_wrap=True)
    if not done.commands:
        console.print("What follows is said for fields of several slides.")
        return
    console.print("Correct every box: its place, its type (untyped_wbc where the model is unsure), what it missed. Then:")
    for command in done.commands:
        console.print(f"  {command}", soft_wrap=True)
