"""A bundle with a second look: its graph, its manifest and its card, measured before it is written."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.contracts.bundle import CARD, MODEL, Bundle, SecondLook, Thresholds, write_bundle
from trainer.export.card import card
from trainer.export.graph import graph_to_onnx, store_weights_as_half, to_onnx
from trainer.models.detector import Detector
from trainer.second_look.look_network import LookNetwork
from trainer.second_look.looking_graph import LookingGraph

Measure = Callable[[Bundle], dict[str, Any]]


def write_with_look(
    parent: Bundle,
    detector: Detector,
    look: LookNetwork,
    settings: SecondLook,
    folder: Path,
    thresholds: Thresholds,
    measure: Measure | None = None,
    name: str | None = None,
) -> Bundle:
    """The child of `parent` whose graph looks again; `measure` gives the figures that its manifest and card state."""
    graph = LookingGraph(detector, parent.manifest.top_k, look, settings)
    size = parent.manifest.field_width_px, parent.manifest.field_height_px
    model = store_weights_as_half(graph_to_onnx(graph, *size)).SerializeToString()
    over = {"second_look": settings.model_dump(), "thresholds": thresholds.model_dump(), "name": name or parent.manifest.name}
    return _written(parent, folder, model, over, measure)


def write_without_look(parent: Bundle, detector: Detector, folder: Path, thresholds: Thresholds) -> Bundle:
    """The child of `parent` whose graph is the detector alone: to see what the second look changes."""
    size = parent.manifest.field_width_px, parent.manifest.field_height_px
    model = store_weights_as_half(to_onnx(detector, parent.manifest.top_k, *size)).SerializeToString()
    over = {"second_look": None, "thresholds": thresholds.model_dump(), "name": f"{parent.manifest.name}-detector"}
    return _written(parent, folder, model, over, None)


def _written(parent: Bundle, folder: Path, model: bytes, over: dict[str, Any], measure: Measure | None) -> Bundle:
    manifest = parent.manifest.model_dump(mode="json", exclude={"files"})
    # Operating points and figures are of the parent's graph.
    manifest |= {"parent_bundle_id": parent.bundle_id, "moved_thresholds": None, **over}
    manifest["training"] = {**manifest["training"], "metrics": {}}
    if measure is not None:
        with tempfile.TemporaryDirectory() as draft:
            metrics = measure(write_bundle(Path(draft), manifest, {MODEL: model}))
        manifest["training"]["metrics"] = metrics
    return write_bundle(folder, manifest, {MODEL: model, CARD: card(manifest).encode()})
