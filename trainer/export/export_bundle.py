"""From a checkpoint (or random weights) to a bundle, measured on held-back images before it is written."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge.contracts.bundle import CARD, MODEL, Bundle, Thresholds, class_table, write_bundle
from edge.contracts.colours import ReferenceColours
from edge.contracts.errors import ConfigError
from trainer.checkpoint import Checkpoint
from trainer.data.provenance import code_version
from trainer.export.card import card
from trainer.export.graph import graph_to_onnx, store_weights_as_half
from trainer.models.detector import Detector
from trainer.recipe import Recipe
from trainer.second_look.carried_look import Look, graph_with

Measure = Callable[[Bundle], dict[str, Any]]


def export_checkpoint(
    checkpoint: Checkpoint,
    folder: Path,
    name: str,
    thresholds: Thresholds,
    measure: Measure | None,
    colours: ReferenceColours | None = None,
) -> Bundle:
    """Write the bundle of a training. `measure` evaluates the very graph that is written; its figures go into the bundle, and
    so do the `colours` of the images that it was trained on."""
    training = {
        "trained": True,
        "code_version": checkpoint.data.get("code_version") or code_version(),
        "seed": checkpoint.recipe.seed,
        "recipe": checkpoint.recipe.model_dump(mode="json"),
        "data": {key: value for key, value in checkpoint.history.items() if key not in {"hardware", "code_version"}},
        "seconds": checkpoint.seconds or None,
        "hardware": checkpoint.data.get("hardware"),
        "metrics": {},
    }
    parent = parent_id(checkpoint.data)
    look = Look.of_kept(checkpoint.look)
    return _export(checkpoint.detector(), checkpoint.recipe, folder, name, thresholds, training, measure, colours, parent, look)


def parent_id(data: Mapping[str, Any]) -> str | None:
    """The nearest bundle among those whose weights a training started from, by way of any checkpoints."""
    while start := data.get("started_from"):
        if "bundle_id" in start:
            return str(start["bundle_id"])
        data = start.get("data", {})
    return None


def export_random(recipe: Recipe, folder: Path, look: Look | None = None) -> Bundle:
    """An untrained model for tests and benchmarks; marked as such, and the edge says so in every run."""
    detector = recipe.detector().eval()
    training = {
        "trained": False,
        "code_version": code_version(),
        "seed": recipe.seed,
        "recipe": recipe.model_dump(mode="json"),
        "data": {},
        "metrics": {},
    }
    return _export(detector, recipe, folder, f"{recipe.architecture}-random", Thresholds(), training, None, look=look)


def _export(
    detector: Detector,
    recipe: Recipe,
    folder: Path,
    name: str,
    thresholds: Thresholds,
    training: dict[str, Any],
    measure: Measure | None,
    colours: ReferenceColours | None = None,
    parent_bundle_id: str | None = None,
    look: Look | None = None,
) -> Bundle:
    _require_exportable(recipe)
    scale = recipe.scale
    graph = graph_with(detector, recipe.top_k, look)
    model = store_weights_as_half(graph_to_onnx(graph, scale.width_px, scale.height_px)).SerializeToString()
    manifest: dict[str, Any] = {
        "name": name,
        "architecture": recipe.architecture,
        "parent_bundle_id": parent_bundle_id,
        "um_per_px": scale.um_per_px,
        "field_width_px": scale.width_px,
        "field_height_px": scale.height_px,
        "network_width_px": scale.network_width_px,
        "network_height_px": scale.network_height_px,
        "top_k": recipe.top_k,
        "classes": class_table(),
        "thresholds": thresholds,
        "reference_colours": colours,
        "second_look": look.settings.model_dump(mode="json") if look else None,
        "training": training,
    }
    if measure:
        with tempfile.TemporaryDirectory() as draft:
            manifest["training"] = {**training, "metrics": measure(write_bundle(Path(draft), manifest, {MODEL: model}))}
    return write_bundle(folder, manifest, {MODEL: model, CARD: card(manifest).encode()})


def _require_exportable(recipe: Recipe) -> None:
    """Raises `ConfigError` for a candidate that is measured as a checkpoint only."""
    if recipe.colours == "moved":
        raise ConfigError(
            "this training saw moved colours only, and no bundle can say yet that it must not be shown others; train with "
            "`colours: own`."
        )
    if recipe.options.get("normalisation") == "group":
        raise ConfigError(
            "a group normalisation cannot be folded into the convolutions, and no engine was built of one; train with "
            "`options.normalisation: batch`."
        )
