"""A bundle's graph back in a detector, bit for bit; every graph that is not what its recipe says is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.small_model import Model

from edge.contracts.bundle import CARD, MODEL, Bundle, load_bundle, write_bundle
from edge.contracts.errors import BundleError, DataError
from trainer.export.graph import store_weights_as_half, to_onnx
from trainer.weights.bundle_weights import PREFIX, started_from_bundle

pytestmark = pytest.mark.timeout(120)

Graph = Any


def weights(model: onnx.ModelProto) -> dict[str, bytes]:
    return {t.name: numpy_helper.to_array(t).tobytes() for t in model.graph.initializer if t.name.startswith(PREFIX)}


def test_exported_again_every_weight_is_the_same_to_the_last_bit(model: Model) -> None:
    bundle = load_bundle(model.bundle)
    start = started_from_bundle(bundle)
    scale = start.recipe.scale
    again = store_weights_as_half(to_onnx(start.detector(), start.recipe.top_k, scale.width_px, scale.height_px))
    first = weights(onnx.load(bundle.model_path))
    assert len(first) >= 6 and weights(again) == first, "a bias of zeros is left out"
    assert start.bundle["bundle_id"] == bundle.bundle_id and start.data == bundle.manifest.training.data


def _renamed(graph: Graph) -> None:
    old = next(t.name for t in graph.initializer if t.name.startswith(PREFIX))
    for tensor in graph.initializer:
        tensor.name = "weights_0" if tensor.name == old else tensor.name
    for node in graph.node:
        node.input[:] = ["weights_0" if name == old else name for name in node.input]


def _quantised(graph: Graph) -> None:
    for tensor in graph.initializer:
        if tensor.name.endswith("head.1.bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(tensor.dims, np.int8), tensor.name))


def _not_a_number(graph: Graph) -> None:
    for tensor in graph.initializer:
        if tensor.name.endswith("head.1.bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.full(tensor.dims, np.nan, np.float32), tensor.name))


def _other_shape(graph: Graph) -> None:
    for tensor in graph.initializer:
        if tensor.name.endswith("head.1.bias"):
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(7, np.float32), tensor.name))


def _nothing(graph: Graph) -> None:
    pass


CASES = [
    pytest.param(_renamed, {}, "does not hold the weights of small", id="another-program's-names"),
    pytest.param(_quantised, {}, "a quantised graph", id="quantised"),
    pytest.param(_other_shape, {}, "of another kind, first `head.1.bias`", id="another-number-of-classes"),
    pytest.param(_not_a_number, {}, "are no numbers", id="not-a-number"),
    pytest.param(_nothing, {"trained": False}, "random weights", id="never-trained"),
    pytest.param(_nothing, {"recipe": {"steps": 3}}, "not one of this version", id="a-recipe-of-another-version"),
    pytest.param(
        _nothing,
        {"options": {"anchors_px": [[20, 20], [30, 60], [60, 30]]}},
        "computes something else",
        id="other-anchors-than-the-graph's",
    ),
]


@pytest.mark.parametrize(("change", "training", "sentence"), CASES)
def test_what_does_not_fit_is_refused(
    model: Model, tmp_path: Path, change: Callable[[Graph], None], training: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        started_from_bundle(changed(load_bundle(model.bundle), tmp_path / "other", change, training))


def changed(bundle: Bundle, folder: Path, change: Callable[[Graph], None], training: dict[str, Any]) -> Bundle:
    graph = onnx.load(bundle.model_path)
    change(graph.graph)
    manifest = bundle.manifest.model_dump(mode="json", exclude={"files"})
    if "options" in training:
        manifest["training"]["recipe"]["options"] = training["options"]
    else:
        manifest["training"].update(training)
    files = {MODEL: graph.SerializeToString(), CARD: b"changed\n"}
    return write_bundle(folder, manifest, files)


def test_a_damaged_bundle_is_refused_before_its_weights_are_looked_at(model: Model, tmp_path: Path) -> None:
    bundle = changed(load_bundle(model.bundle), tmp_path / "other", _nothing, {})
    bundle.model_path.write_bytes(bundle.model_path.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(bundle.path)
