"""`leuko-train crossvalidate`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.commands.arguments import AsJson, DataSets, Device, NamedRecipe, Root
from trainer.commands.fit import STOPPED
from trainer.evaluation.settings import ROUNDS

LeaveOut = Literal["laboratories"]


def crossvalidate(
    data: DataSets,
    root: Root,
    out: Annotated[Path, typer.Option(help="folder for one folder a fold, and summary.json")],
    recipe: NamedRecipe = "shipped",
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the recipe; repeat")
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="the images are divided into so many parts, each held back once")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="of the division")] = 0,
    leave_out: Annotated[
        LeaveOut | None,
        typer.Option(help="laboratories: each one's sources are held back together, instead of --folds parts of all"),
    ] = None,
    colours: Annotated[
        bool, typer.Option("--colours", help="move each held-back source's colours to those of the fold's training images")
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="measure each held-back source at the um/px that its own red cells give")
    ] = False,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="measure the mean of the outputs for an image and its three mirror images")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--laboratory", help="with --leave-out laboratories: leave out this one only; repeat for several"),
    ] = None,
    source: Annotated[str | None, typer.Option(help="measure on images of this source only; all are trained on")] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="K=PATH",
            help="K=PATH: measure this bundle or checkpoint for fold K (from 0) instead of training one; repeat",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="rounds of resampling for the 95 % limits")] = ROUNDS,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="threads of torch; its own choice when not given")] = None,
    as_json: AsJson = False,
) -> None:
    """Train one model for each fold of the images and measure it on the images it never saw.

    leuko-train crossvalidate --data datasets.yaml --root DIR --out runs/folds

    Slides, originals and near-duplicates are never divided between training and held-back images. The same command goes on
    where it was interrupted: a finished fold is only measured, a begun one resumed.

    leuko-train crossvalidate ... --model 0=bundles/ours         the model that is used stands for the fold it held back

    leuko-train crossvalidate ... --leave-out laboratories --laboratory OURS --scale --colours
    """
    from trainer.evaluation.crossvalidation import measure_folds  # noqa: PLC0415 - loads torch
    from trainer.evaluation.fold_summaries import Ways, write_summary  # noqa: PLC0415
    from trainer.evaluation.summary_table import show  # noqa: PLC0415

    ways = Ways(colours=colours, scale=scale, mirrored=mirrored)
    summary = measure_folds(
        data,
        root,
        out,
        recipe,
        changes or (),
        folds,
        seed,
        source,
        models or (),
        rounds,
        device=device,
        threads=threads,
        leave_out=leave_out,
        only=only or (),
        ways=ways,
    )
    if summary is None:
        raise typer.Exit(STOPPED)
    # First to where nothing can be full.
    show(summary, as_json)
    write_summary(summary, out, only or (), ways)
