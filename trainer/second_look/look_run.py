"""A second look from its command line to the bundle that holds it."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import torch
from pydantic import ValidationError
from rich.console import Console

from edge.contracts.bundle import NO_CELL as NO_CELL_NAME
from edge.contracts.bundle import Bundle, SecondLook, Thresholds, load_bundle, require_new
from edge.contracts.cells import CELLS
from edge.contracts.errors import ConfigError
from trainer.data.datasets import load_datasets
from trainer.data.image_store import ImageStore
from trainer.data.provenance import code_version, describe, require_origins
from trainer.evaluation.detect import results_of
from trainer.evaluation.measure import draft_measure
from trainer.evaluation.target import bundle_target, division_of
from trainer.overrides import complaint, parse_assignment, with_value
from trainer.second_look.cell_crops import CropSource
from trainer.second_look.look_bundle import write_with_look, write_without_look
from trainer.second_look.look_network import NO_CELL
from trainer.second_look.look_places import may_train, places_of, taught_by
from trainer.second_look.look_recipe import LookRecipe
from trainer.second_look.look_training import train_look
from trainer.weights.bundle_weights import parts_of

STATE = ".training.pt"
"""After the name of the new bundle: where a training keeps its state until it has ended. The same command goes on from it."""


def look_recipe(changes: Sequence[str]) -> LookRecipe:
    """The recipe with what `--set` changed. Raises `ConfigError` for an unknown key or a value out of range."""
    content = LookRecipe().model_dump(mode="json")
    for key, value in map(parse_assignment, changes):
        content = with_value(content, key, value)
    try:
        return LookRecipe.model_validate(content)
    except ValidationError as problem:
        raise ConfigError(f"--set cannot be used: {complaint(problem, LookRecipe, content)}; correct it.") from problem


def run_second_look(
    folder: Path,
    data: Path,
    root: Path,
    out: Path,
    changes: Sequence[str] = (),
    *,
    split_by: str = "given",
    measure_on: Path | None = None,
    thresholds: Thresholds | None = None,
    name: str | None = None,
    threads: int | None = None,
) -> Bundle:
    """Train a second look for the bundle in `folder` and write the bundle that has both. Arguments as those of the command.

    Raises `BundleError`, `ConfigError` and `DataError`, most of them before an image is read.
    """
    require_new(out)
    parent = load_bundle(folder)
    recipe = look_recipe(changes)
    _, detector, _ = parts_of(parent)
    require_origins(data)
    training = parent.manifest.training.data
    measure = draft_measure(measure_on, root, None, division_of(training)) if measure_on else None
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    say = Console(stderr=True, markup=False, highlight=False).print
    rows = [row for row in load_datasets(data, root, split_by) if may_train(row, training)]
    if not rows:
        raise ConfigError(
            f"no image of {data} may be trained on under --split-by {split_by}; look with `leuko-train data check`."
        )
    # Decoded before the hours begin, so that a file damaged later does no harm.
    store = ImageStore(recipe.um_per_px, out.parent)
    store.load(rows)
    places = places_of(rows, results_of(bundle_target(parent), rows))
    false = sum(place.label == NO_CELL for place in places) - len(rows)
    cells = len(places) - false - len(rows)
    say(
        f"{len(rows)} images, {cells} annotated cells, {false} false finds; {recipe.name}, {recipe.steps} steps", soft_wrap=True
    )
    about = {**describe(data, rows), "split_by": split_by, "splits": ["train"], "code_version": code_version()}
    keep = out.with_name(f"{out.name}{STATE}")
    look = train_look(
        CropSource(places, recipe, store),
        recipe,
        lambda step, loss: say(f"step {step} of {recipe.steps}: loss {loss:.3f}"),
        keep,
        str(about["sha256"]),
    )
    taught = taught_by(rows)
    settings = SecondLook(
        looks=recipe.looks,
        crop_side_px=recipe.crop_side_px,
        crop_um=recipe.crop_side_px * recipe.um_per_px,
        temperature=recipe.temperature,
        presence_share=recipe.presence_share,
        type_share=recipe.type_share,
        class_weights=recipe.class_weights,
        taught=(*(cell.name for index, cell in enumerate(CELLS) if index in taught), NO_CELL_NAME),
        recipe=recipe.model_dump(mode="json"),
        data=about,
    )
    bundle = write_with_look(parent, detector, look, settings, out, thresholds or parent.manifest.thresholds, measure, name)
    keep.unlink(missing_ok=True)
    say(f"bundle {bundle.path} written, id {bundle.bundle_id}, child of {parent.bundle_id}", soft_wrap=True)
    return bundle


def remove_second_look(folder: Path, out: Path, thresholds: Thresholds | None = None) -> Bundle:
    """The detector of a bundle alone, as a bundle. Raises `ConfigError` for one without a second look."""
    require_new(out)
    parent = load_bundle(folder)
    if parent.manifest.second_look is None:
        raise ConfigError(f"bundle {folder} has no second look; it is the detector alone already.")
    return write_without_look(parent, parts_of(parent)[1], out, thresholds or Thresholds())
