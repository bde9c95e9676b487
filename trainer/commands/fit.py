"""`leuko-train fit`."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.arguments import DataSets, Device, Root
from trainer.data.split_plan import HELP

STOPPED = 130
"""Exit code of a training that was asked to stop, as shells count an interrupt."""

WORSE = 10
"""Exit code of a training whose weights are worse, on the images held back, than the bundle that it started from."""


def fit(
    data: DataSets,
    root: Root,
    out: Annotated[Path, typer.Option(help="folder for checkpoints, losses.jsonl, pictures and tensorboard/")],
    recipe: Annotated[
        str | None, typer.Option(help="a shipped recipe or a YAML file; `shipped`, or `adapt` for a bundle, when not given")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a key of the recipe: phases.0.steps=100; repeat"),
    ] = None,
    splits: Annotated[str, typer.Option(help="splits to train on, separated by commas")] = "train",
    split_by: Annotated[str, typer.Option(help=HELP)] = "given",
    seed: Annotated[int | None, typer.Option(help="the recipe's when not given")] = None,
    init: Annotated[
        Path | None, typer.Option(help="pretrained weights of the trunk: Darknet's for yolov3*, VGG16's for ssd*")
    ] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="take all weights of this checkpoint, or of a bundle's graph, then train anew")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from OUT/last.pt as if it had never stopped")] = False,
    loggers: Annotated[
        list[str] | None,
        typer.Option(
            "--logger",
            metavar="NAME",
            help="what shows the curves: tensorboard (when not given), mlflow, wandb; in OUT, unless their own variables in "
            "the environment name another place; repeat",
        ),
    ] = None,
    device: Device = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="threads of the training process; torch's choice when not given")
    ] = None,
) -> None:
    """Train a detector by a recipe and write OUT/best.pt and OUT/last.pt; export one with `leuko-train export`.

    best.pt has the weights that did best on images held back (`validation` in the recipe says how often they are looked at, and
    whether the training ends when nothing better comes); last.pt has the newest state.

    leuko-train fit --data datasets.yaml --root DIR --out runs/tiny

    leuko-train fit --data datasets.yaml --root DIR --out runs/tiny --resume

    leuko-train fit --data datasets.yaml --root DIR --out runs/tiny --set validation.patience=5

    leuko-train fit --recipe yolov3-416 --init darknet53.conv.74 --set phases.0.steps=2000 ...

    To adapt a bundle to one's own laboratory, by some tens of annotated images of it:

    leuko-train fit --start-from bundles/ours --data lab/adapt.yaml --root lab --split-by grouped:0.3 --out runs/lab

    Then both are measured on the images held back; exit code 10 when the new weights are worse than the bundle.

    Several GPUs, or several processes on a CPU, share every batch:

    torchrun --standalone --nproc-per-node 2 -m trainer.cli fit ...

    Ctrl-C ends a training after the step at hand, with a checkpoint that --resume goes on from (exit code 130).
    """
    from trainer.loop.adaptation import is_worse  # noqa: PLC0415 - torch takes seconds to load
    from trainer.loop.training_run import run_training  # noqa: PLC0415

    outcome = run_training(
        data,
        root,
        out,
        recipe,
        changes or (),
        splits=splits,
        split_by=split_by,
        seed=seed,
        init=init,
        start_from=start_from,
        resume=resume,
        device=device,
        threads=threads,
        loggers=loggers or (),
    )
    if outcome and not outcome.finished:
        raise typer.Exit(STOPPED)
    if is_worse(out):
        raise typer.Exit(WORSE)
