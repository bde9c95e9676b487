"""`leuko-train fit`."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.checkpoint import load_checkpoint
from leukostream.trainer.data.annotation import Annotation
from leukostream.trainer.data.compose import Composer
from leukostream.trainer.data.datasets import load_datasets
from leukostream.trainer.data.provenance import describe
from leukostream.trainer.data.split import HELP
from leukostream.trainer.data.store import ImageStore
from leukostream.trainer.data.training_set import TrainingSet
from leukostream.trainer.fit import fit as train
from leukostream.trainer.fit import phase_field_size
from leukostream.trainer.recipe import Recipe, load_recipe


def fit(
    data: Annotated[Path, typer.Option(help="data description (YAML): data sets, scales, class maps, splits")],
    root: Annotated[Path, typer.Option(envvar="LEUKO_DATA", help="folder the description's paths are in")],
    out: Annotated[Path, typer.Option(help="folder for checkpoints")],
    recipe: Annotated[str, typer.Option(help="a shipped recipe or a YAML file")] = "yolov3-tiny-416",
    splits: Annotated[str, typer.Option(help="splits to train on, separated by commas")] = "train",
    split_by: Annotated[str, typer.Option(help=HELP)] = "given",
    seed: Annotated[int | None, typer.Option(help="the recipe's when not given")] = None,
    threads: Annotated[int | None, typer.Option(help="threads of the training process")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from OUT/last.pt")] = False,
    start_from: Annotated[Path | None, typer.Option(help="take the weights of this checkpoint, then train anew")] = None,
) -> None:
    """Train a detector by a recipe and write OUT/last.pt; export it with `leuko-train export`.

    leuko-train fit --data datasets.yaml --root DIR --out runs/tiny
    """
    chosen = load_recipe(recipe, {} if seed is None else {"seed": seed})
    last = out / "last.pt"
    if last.exists() and not resume:
        raise ConfigError(f"{last} is there already; add --resume to go on with it, or choose another --out.")
    if threads:
        torch.set_num_threads(threads)
    previous = load_checkpoint(last) if resume else None
    if previous and previous.recipe != chosen:
        raise ConfigError(f"{last} was trained by another recipe; resume with the same one, or choose another --out.")
    wanted = set(splits.split(","))
    annotations = [row for row in load_datasets(data, root, split_by) if row.split in wanted]
    if not annotations:
        raise ConfigError(f"no image of {data} is in the splits {splits!r}; use train, val or test.")
    Console(stderr=True).print(f"{len(annotations)} images, {sum(len(row.labels) for row in annotations)} annotated cells")
    result = train(
        chosen,
        training_sets(chosen, annotations),
        out,
        {**describe(data, annotations), "split_by": split_by},
        resume=previous,
        start_from=load_checkpoint(start_from) if start_from else None,
    )
    Console(stderr=True).print(f"trained {result.step} steps, weights in {last}")


def training_sets(recipe: Recipe, annotations: list[Annotation]) -> list[TrainingSet]:
    """One per phase; they share the decoded images."""
    composer = Composer(ImageStore(recipe.scale.um_per_px), annotations, recipe.compose)
    result = []
    for number, phase in enumerate(recipe.phases):
        width, height, network_w, network_h = phase_field_size(recipe, phase)
        seed = recipe.seed * 1000 + number
        result.append(TrainingSet(composer, recipe.augment, seed, width, height, (network_w, network_h)))
    return result
