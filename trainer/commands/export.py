"""`leuko-train export`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge.contracts.bundle import Thresholds, require_new
from edge.contracts.errors import ConfigError


def export(
    checkpoint: Annotated[
        Path | None, typer.Argument(help="best.pt or last.pt of a training; not with --random-weights")
    ] = None,
    out: Annotated[Path, typer.Option(help="new directory for the bundle")] = Path("bundle"),
    name: Annotated[str | None, typer.Option(help="name of the bundle; that of its directory when not given")] = None,
    data: Annotated[
        Path | None, typer.Option(help="data description; measures the bundle on --split before writing it")
    ] = None,
    root: Annotated[Path | None, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")] = None,
    split: Annotated[str | None, typer.Option(help="held-back split to measure on; test, or else val, when not given")] = None,
    detect: Annotated[
        float | None, typer.Option(help="presence threshold; these three are the parent's, or first ones, when not given")
    ] = None,
    identify: Annotated[float | None, typer.Option(help="class threshold; below it a cell is `unidentified`")] = None,
    margin: Annotated[float | None, typer.Option(help="lead over the runner-up; below it a cell is `unidentified`")] = None,
    although_worse: Annotated[
        bool, typer.Option("--although-worse", help="also weights that are worse than the bundle they started from")
    ] = False,
    random_weights: Annotated[bool, typer.Option("--random-weights", help="untrained, for tests and benchmarks")] = False,
    recipe: Annotated[str, typer.Option(help="recipe of an untrained bundle")] = "yolov3-tiny-416",
) -> None:
    """Write a bundle: the self-describing ONNX graph, its manifest and its card.

    leuko-train export runs/tiny/best.pt --out bundles/tiny --data datasets.yaml --root DIR

    leuko-train export --random-weights --out /tmp/random
    """
    from trainer.checkpoint import better_beside, load_checkpoint  # noqa: PLC0415 - torch and onnx take seconds to load
    from trainer.evaluation.measure import draft_measure  # noqa: PLC0415
    from trainer.evaluation.target import division_of  # noqa: PLC0415
    from trainer.export.export_bundle import export_checkpoint, export_random  # noqa: PLC0415
    from trainer.export.reference_colours import colours_of_training  # noqa: PLC0415
    from trainer.loop.adaptation import require_no_worse, thresholds_of  # noqa: PLC0415
    from trainer.recipe import load_recipe  # noqa: PLC0415

    if random_weights == (checkpoint is not None):
        raise ConfigError("give either a checkpoint to export or --random-weights, not both and not neither.")
    require_new(out)  # before an export and a measurement that take minutes
    if checkpoint is None:
        bundle = export_random(load_recipe(recipe), out)
    else:
        trained = load_checkpoint(checkpoint)
        if words := better_beside(checkpoint, trained):
            Console(stderr=True, markup=False).print(words, soft_wrap=True)
        if not although_worse:
            require_no_worse(trained, checkpoint)
        given = {"detect": detect, "identify": identify, "margin": margin}
        stated = {name: value for name, value in given.items() if value is not None}
        thresholds = Thresholds.model_validate({**thresholds_of(trained).model_dump(), **stated})
        measured = draft_measure(data, root, split, division_of(trained.data)) if data else None
        colours = colours_of_training(trained.history, checkpoint, data, root) if data and root else None
        bundle = export_checkpoint(trained, out, name or out.resolve().name, thresholds, measured, colours)
    Console(stderr=True).print(f"bundle {bundle.path} written, id {bundle.bundle_id}")
    if parent := bundle.manifest.parent_bundle_id:
        said = (
            f"its parent is {parent}; thresholds in a profile are the parent's and do not hold for it: choose them anew with "
            "`leuko-calib thresholds`."
        )
        Console(stderr=True, markup=False).print(said, soft_wrap=True)
