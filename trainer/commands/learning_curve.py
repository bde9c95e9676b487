"""`leuko-train learning-curve`."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.arguments import AsJson, Described, Device, Root


def learning_curve(
    bundle: Annotated[Path, typer.Argument(help="directory of the bundle to adapt")],
    data: Described,
    root: Root,
    source: Annotated[str, typer.Option(help="the laboratory: a source of the description that the bundle has never seen")],
    out: Annotated[Path, typer.Option(help="folder for trainings and curve.json")],
    images: Annotated[str, typer.Option(help="numbers of annotated images, separated by commas")] = "0,10,30,100",
    split_by: Annotated[str, typer.Option(help="what is held back of that source")] = "grouped:0.5",
    recipe: Annotated[str, typer.Option(help="a shipped recipe or a YAML file; the network is the bundle's")] = "adapt",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a key of the recipe: phases.0.steps=100; repeat"),
    ] = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="threads of torch; its own choice when not given")] = None,
    as_json: AsJson = False,
) -> None:
    """How many annotated images of a laboratory are worth it: adapt a bundle with each number, measure on other slides.

    leuko-train learning-curve bundles/ours --data lab/adapt.yaml --root lab --source lab --out runs/curve

    After Ctrl-C (exit code 130) or a crash the same command goes on.
    """
    import torch  # noqa: PLC0415 - takes seconds to load
    from rich.console import Console  # noqa: PLC0415

    from edge.contracts.errors import ConfigError  # noqa: PLC0415
    from trainer.commands.fit import STOPPED  # noqa: PLC0415
    from trainer.evaluation.adaptation_curve import adaptation_curve  # noqa: PLC0415
    from trainer.evaluation.curve_table import table_of  # noqa: PLC0415
    from trainer.loop.adaptation import Parent  # noqa: PLC0415
    from trainer.overrides import parse_assignment  # noqa: PLC0415
    from trainer.recipe import load_recipe  # noqa: PLC0415

    try:
        counts = [int(word) for word in images.split(",")]
    except ValueError as problem:
        raise ConfigError(f"--images {images!r} is no list of numbers; write them as 0,10,30.") from problem
    if min(counts) < 0:
        raise ConfigError(f"--images {images!r} has a number below 0; write how many images to train with.")
    if threads:
        torch.set_num_threads(threads)
    parent = Parent.of(bundle)
    chosen = load_recipe(recipe, {**parent.network(), **dict(parse_assignment(change) for change in changes or ())})
    console = Console(stderr=True, markup=False)
    curve = adaptation_curve(parent, chosen, data, root, source, counts, split_by, out, console.print, device)
    if curve is None:
        console.print("stopped; the same command goes on.")
        raise typer.Exit(STOPPED)
    if as_json:
        print(curve.model_dump_json(indent=1), flush=True)
    else:
        Console().print(table_of(curve))
