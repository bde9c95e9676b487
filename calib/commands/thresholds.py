"""`leuko-calib thresholds`: what score means a cell on this instrument, from annotated images of it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from edge.contracts.choices import Correct, EngineChoice


def thresholds(
    labels: Annotated[Path, typer.Argument(help="annotated images, as `leuko-train data export` writes them")],
    root: Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder that their paths are in")],
    profile: Annotated[Path, typer.Option(help="the instrument's profile so far")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    bundle: Annotated[Path | None, typer.Option(help="the model they are for; the shipped one when not given")] = None,
    precision: Annotated[float, typer.Option(min=0.5, max=0.999, help="share of counted leukocytes that must be some")] = 0.97,
    typed_precision: Annotated[float, typer.Option(min=0.5, max=0.999, help="the same of each type; chosen here")] = 0.9,
    split: Annotated[str, typer.Option(help="train, val or test; several separated by commas")] = "train,val,test",
    engine: Annotated[EngineChoice, typer.Option(help="what computes the scores")] = "auto",
    correct: Annotated[
        Correct, typer.Option(help="profile: images get its light and colours, as in a run; nothing: for runs without")
    ] = "profile",
    picture: Annotated[
        Path | None, typer.Option(help="the reliability plot; beside the new profile, as .png, when not given")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Choose thresholds that find most cells at the precision asked for, and tell scores as probabilities.

    Whole slides or originals are left out of the choice in turn, and the figures are of those. Classes with too few cells keep
    the bundle's thresholds and are named. The thresholds hold for this bundle alone, and for fields in the same colours: give
    images as the camera gives them.

    leuko-calib thresholds labels.jsonl --root images/ --profile profile.json --out profile-3.json
    """
    from rich.console import Console

    from calib.plots import write_reliability_plot
    from calib.shown_fields import shown_by
    from calib.threshold_choice import Floors
    from calib.threshold_profile import doubts_of_labels, measure_thresholds
    from calib.threshold_tables import as_json as result_as_json
    from calib.threshold_tables import calibration_line, class_table, share_table
    from edge.contracts.bundle import load_bundle
    from edge.contracts.errors import ConfigError, ProfileError
    from edge.contracts.profile import load_profile, write_profile
    from edge.settings import SHIPPED_BUNDLE

    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    drawn = picture or out.with_suffix(".png")
    if picture is None and drawn.exists():
        raise ProfileError(f"the picture of the curve would overwrite {drawn}; name another file with --picture.")
    splits = tuple(word.strip() for word in split.split(","))
    if unknown := sorted(set(splits) - {"train", "val", "test"}):
        raise ConfigError(f"{unknown[0]!r} is no split; use train, val or test.")
    before, _ = load_profile(profile)
    model = load_bundle(bundle or SHIPPED_BUNDLE)
    # What an earlier choice says is no start of a new one.
    shown = shown_by(before.model_copy(update={"thresholds": None}), profile, model, correct)
    floors = Floors(precision, typed_precision)
    after, choice = measure_thresholds(before, shown, model, labels, root, splits, floors, engine)
    if choice.calibration is not None:
        write_reliability_plot(drawn, choice.calibration)
    digest = write_profile(out, after)
    warnings = (*shown.warnings, *doubts_of_labels(before, labels, splits))
    seen = drawn if choice.calibration is not None else None
    if as_json:
        told = {"colour_transform": shown.colour_transform, "warnings": warnings}
        print(json.dumps(result_as_json(choice, out, digest, seen) | told))
        return
    console = Console(highlight=False)
    console.print(
        f"asked for: that {precision:.3g} of counted leukocytes are some, and {typed_precision:.3g} of each type what they are "
        "called; within that, the most cells",
        soft_wrap=True,
    )
    console.print(share_table(choice))
    console.print(class_table(choice, shown.thresholds))
    if choice.calibration is None:
        console.print(f"no probabilities: {choice.why_not}", soft_wrap=True)
    else:
        console.print(f"{calibration_line(choice.calibration)}; {drawn}", soft_wrap=True)
    for warning in warnings:
        console.print(f"mind: {warning}", soft_wrap=True)
    console.print(f"they hold for fields {shown.said}; written to {out}", soft_wrap=True)
