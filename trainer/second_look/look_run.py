"""A second look from its command line to the bundle that holds it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
from trainer.data.provenance import code_version, describe, require_allowed, require_origins
from trainer.evaluation.detect import results_of
from trainer.evaluation.measure import draft_measure
from trainer.evaluation.target import bundle_target, division_of
from trainer.overrides import complaint, parse_assignment, with_value
from trainer.second_look.carried_look import Look
from trainer.second_look.cell_crops import CropSource
from trainer.second_look.look_bundle import write_with_look, write_without_look
from trainer.second_look.look_network import NO_CELL
from trainer.second_look.look_places import left_out_labels, may_train, places_of, taught_by
from trainer.second_look.look_recipe import OF_THE_GRAPH, LookRecipe
from trainer.second_look.look_training import train_look
from trainer.weights.bundle_weights import parts_of

STATE = ".training.pt"
"""After the name of the new bundle: where a training keeps its state until it has ended. The same command goes on from it."""


def look_recipe(changes: Sequence[str], begun: Mapping[str, Any] | None = None) -> LookRecipe:
    """The recipe, or the one `begun` with, with what `--set` changed.

    Raises `ConfigError` for an unknown key or a value out of range.
    """
    content = LookRecipe.model_validate(begun or {}).model_dump(mode="json")
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
    untaught: Path | None = None,
    experiment: Path | None = None,
    experiment_split_by: str = "given",
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
    for description in filter(None, (data, experiment)):
        require_origins(description)
    training = parent.manifest.training.data
    measure = draft_measure(measure_on, root, None, division_of(training), untaught) if measure_on else None
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
    say = Console(stderr=True, markup=False, highlight=False).print
    rows = [row for row in load_datasets(data, root, split_by) if may_train(row, training)]
    if not rows:
        raise ConfigError(
            f"no image of {data} may be trained on under --split-by {split_by}; look with `leuko-train data check`."
        )
    require_allowed(data, rows)
    if experiment:
        rows += [row for row in load_datasets(experiment, root, experiment_split_by) if may_train(row, training)]
    # Decoded before the hours begin, so that a file damaged later does no harm.
    store = ImageStore(recipe.um_per_px, out.parent)
    store.load(rows)
    places = places_of(rows, results_of(bundle_target(parent), rows), recipe.leave_out)
    false = sum(place.label == NO_CELL for place in places) - len(rows)
    cells = len(places) - false - len(rows)
    say(
        f"{len(rows)} images, {cells} annotated cells, {false} false finds; {recipe.name}, {recipe.steps} steps", soft_wrap=True
    )
    about = {
        **describe(data, rows, experiment=experiment),
        "split_by": split_by,
        "splits": ["train"],
        "code_version": code_version(),
    }
    keep = out.with_name(f"{out.name}{STATE}")
    look = train_look(
        CropSource(places, recipe, store),
        recipe,
        lambda step, loss: say(f"step {step} of {recipe.steps}: loss {loss:.3f}"),
        keep,
        str(about["sha256"]),
    )
    taught = taught_by(rows) - left_out_labels(recipe.leave_out)
    settings = SecondLook(
        crop_side_px=recipe.crop_side_px,
        crop_um=recipe.crop_side_px * recipe.um_per_px,
        **recipe.model_dump(include=OF_THE_GRAPH),
        says_unknown=look.says_unknown,
        taught=(*(cell.name for index, cell in enumerate(CELLS) if index in taught), NO_CELL_NAME),
        recipe=recipe.model_dump(mode="json"),
        data=about,
    )
    bundle = write_with_look(parent, detector, look, settings, out, thresholds or parent.manifest.thresholds, measure, name)
    keep.unlink(missing_ok=True)
    say(f"bundle {bundle.path} written, id {bundle.bundle_id}, child of {parent.bundle_id}", soft_wrap=True)
    return bundle


def keep_second_look(
    folder: Path,
    out: Path,
    changes: Sequence[str],
    root: Path | None = None,
    *,
    measure_on: Path | None = None,
    untaught: Path | None = None,
    thresholds: Thresholds | None = None,
    name: str | None = None,
) -> Bundle:
    """A bundle whose second look is the one in `folder`, and whose graph makes something else of what it says.

    Raises `ConfigError` for one without a second look, and for a key that only a training can change.
    """
    require_new(out)
    parent = load_bundle(folder)
    look = Look.of_bundle(parent)
    if look is None:
        raise ConfigError(f"bundle {folder} has no second look to keep; teach it one: give --data.")
    given = {key.split(".")[0] for key, _ in map(parse_assignment, changes)}
    if taught := sorted(given - OF_THE_GRAPH):
        raise ConfigError(
            f"`{taught[0]}` is decided when a second look is taught; with --keep, `--set` takes "
            f"{', '.join(sorted(OF_THE_GRAPH))}."
        )
    had = {**look.settings.recipe, **look.settings.model_dump(mode="json", include=OF_THE_GRAPH)}
    recipe = look_recipe(changes, {key: value for key, value in had.items() if key in LookRecipe.model_fields})
    over = {**recipe.model_dump(include=OF_THE_GRAPH), "recipe": recipe.model_dump(mode="json")}
    settings = SecondLook.model_validate({**look.settings.model_dump(), **over})
    measure = (
        draft_measure(measure_on, root, None, division_of(parent.manifest.training.data), untaught) if measure_on else None
    )
    detector = parts_of(parent)[1]
    return write_with_look(
        parent, detector, look.network, settings, out, thresholds or parent.manifest.thresholds, measure, name
    )


def remove_second_look(folder: Path, out: Path, thresholds: Thresholds | None = None) -> Bundle:
    """The detector of a bundle alone, as a bundle. Raises `ConfigError` for one without a second look."""
    require_new(out)
    parent = load_bundle(folder)
    if parent.manifest.second_look is None:
        raise ConfigError(f"bundle {folder} has no second look; it is the detector alone already.")
    return write_without_look(parent, parts_of(parent)[1], out, thresholds or Thresholds())
