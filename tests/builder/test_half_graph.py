"""Which nodes become FP16 in each architecture, that the graph stays the same graph, and which weights are refused by name."""

import functools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

import edge
from builder.graph_contract import check_graph
from builder.half_graph import HalfGraph, element_types, to_half
from builder.images import read_images
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError

SHIPPED = Path(edge.__file__).parent / "bundles" / "yolov3-tiny-416-look"

SAME_NETWORK = pytest.mark.soak
"""Of a network that another case has already, with other default boxes or for images of another size."""

_SSD300 = {"Conv": 35, "Relu": 23, "MaxPool": 5}
_SSD512 = {"Conv": 39, "Relu": 25, "MaxPool": 5}
_YOLOV3 = {"Conv": 75, "LeakyRelu": 72, "Add": 23, "Resize": 2, "Concat": 2}
_TINY = {"Conv": 13, "LeakyRelu": 11, "MaxPool": 6, "Pad": 1, "Resize": 1, "Concat": 1}
ARCHITECTURES = [
    pytest.param("ssd300-smin0.1", _SSD300, (2, 13), id="SSD300: L2Norm lies between two convolutions and stays FP32"),
    pytest.param("ssd300-smin0.2", _SSD300, (2, 13), id="SSD300 with other default boxes: the same trunk", marks=SAME_NETWORK),
    pytest.param("ssd512-smin0.2", _SSD512, (2, 15), id="SSD512: one more stage with two heads"),
    pytest.param("yolov3-320", _YOLOV3, (1, 3), id="YOLOv3: residual sums are FP16, those of the decoding are not"),
    pytest.param("yolov3-416", _YOLOV3, (1, 3), id="YOLOv3 at 416", marks=SAME_NETWORK),
    pytest.param("yolov3-608", _YOLOV3, (1, 3), id="YOLOv3 at 608", marks=SAME_NETWORK),
    pytest.param("yolov3-tiny-416", _TINY, (1, 2), id="tiny: the padded pool is FP16 too"),
]
"""Recipe, how many nodes of each kind give FP16, casts into FP16 and out of it. Whatever is not listed gives FP32."""


@functools.lru_cache(maxsize=1)
def _graphs(path: Path) -> tuple[onnx.ModelProto, HalfGraph]:
    """A bundle's graph and what is made of it, for the tests of one architecture, which come one after the other."""
    source = onnx.load(str(path))
    return source, to_half(source)


@pytest.mark.parametrize(("recipe", "half_nodes", "casts"), ARCHITECTURES)
def test_the_trunk_is_half_and_everything_else_is_not(
    untrained_bundle: Callable[[str], Bundle], recipe: str, half_nodes: dict[str, int], casts: tuple[int, int]
) -> None:
    _, half = _graphs(untrained_bundle(recipe).model_path)
    graph, types = half.model.graph, element_types(half.model)
    gives_half = Counter(n.op_type for n in graph.node if types[n.output[0]] == TensorProto.FLOAT16)
    into_half = gives_half.pop("Cast")
    assert gives_half == half_nodes
    assert half.convolutions == half_nodes["Conv"]
    # The checker accepts only equal operand types, so a convolution that gives FP16 also takes it, weights and bias included.
    onnx.checker.check_model(half.model, full_check=True)
    out_of_half = [n for n in graph.node if n.op_type == "Cast" and types[n.input[0]] == TensorProto.FLOAT16]
    assert (into_half, len(out_of_half)) == casts
    all_casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    assert [name for name, taken in all_casts.items() if taken in all_casts] == [], "these are cast twice"
    assert [name for name, taken in all_casts.items() if types[name] == types[taken]] == [], "these casts change nothing"
    assert len(half.half_tensors) == sum(half_nodes.values()) + into_half
    assert check_graph(half.model) == []


@pytest.mark.parametrize("recipe", ["ssd300-smin0.1", "yolov3-320", "yolov3-tiny-416"])
def test_weights_are_taken_over_bit_by_bit_and_nothing_unused_is_left(
    untrained_bundle: Callable[[str], Bundle], recipe: str
) -> None:
    path = untrained_bundle(recipe).model_path
    source, half = _graphs(path)
    before = onnx.load(str(path)).SerializeToString(deterministic=True)
    assert source.SerializeToString(deterministic=True) == before, "the bundle's graph was changed"
    graph = half.model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    stored = [tensor for tensor in source.graph.initializer if tensor.data_type == TensorProto.FLOAT16]
    assert stored
    for tensor in stored:
        assert np.array_equal(numpy_helper.to_array(weights[tensor.name]), numpy_helper.to_array(tensor), equal_nan=True)
    assert weights.keys() <= {name for node in graph.node for name in node.input}
    types = element_types(half.model)
    assert {v.name: v.type.tensor_type.elem_type for v in graph.value_info}.items() <= types.items()
    assert [*graph.input, *graph.output] == [*source.graph.input, *source.graph.output]


def test_equal_graphs_give_equal_bytes() -> None:
    content = (SHIPPED / "model.onnx").read_bytes()
    first, second = (to_half(onnx.load_model_from_string(content)) for _ in range(2))
    assert (first.content, first.sha256) == (second.content, second.sha256)
    assert list(first.half_tensors.items()) == list(second.half_tensors.items())


def test_half_tensors_are_in_the_graphs_order_and_name_their_layers() -> None:
    source = onnx.load(str(SHIPPED / "model.onnx"))
    half = to_half(source)
    made = [name for node in source.graph.node for name in node.output if name in half.half_tensors]
    assert list(half.half_tensors) == made
    (layer,) = (node.name for node in source.graph.node if made[0] in node.output)
    assert half.half_tensors[made[0]] == layer
    assert layer.startswith("node_upsample_bilinear2d"), "the stretched image is the first value that FP16 holds"


def _outputs(model: onnx.ModelProto, frames: Image) -> list[NDArray[Any]]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared with the exporter
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[Any]] = session.run(["boxes", "scores", "labels"], {"frames": frames})
    return outputs


# onnxruntime computes FP16 convolutions of an x86 CPU in FP32: this holds the graph to being the same graph with weights in
# FP16, not to how FP16 rounds. Measured: 7.0e-4 (shipped), 2.6e-4 (SSD300), 7.7e-6 (YOLOv3); largest box difference 0.012 px.
@pytest.mark.parametrize(
    ("recipe", "largest_difference"),
    [
        pytest.param(None, 2e-3, id="the shipped bundle: trained, its scores spread"),
        pytest.param("ssd300-smin0.1", 1e-3, id="SSD300: L2Norm and softmax"),
        pytest.param("yolov3-320", 1e-4, id="YOLOv3: residual sums; untrained, its scores are near 0.005"),
    ],
)
def test_the_half_graph_finds_what_the_float_graph_finds(
    untrained_bundle: Callable[[str], Bundle], recipe: str | None, largest_difference: float
) -> None:
    bundle = untrained_bundle(recipe) if recipe else load_bundle(SHIPPED)
    frames = read_images(None, bundle, 732, 574, limit=4 if recipe is None else 1).frames
    source, half = _graphs(bundle.model_path)
    reference = _outputs(source, frames)
    found = _outputs(half.model, frames)
    # Both descend, so rows that change places do not matter here.
    np.testing.assert_allclose(found[1], reference[1], rtol=0, atol=largest_difference)
    if recipe is None:
        assert reference[1].max() > 0.5, "the drawn fields show cells"
        for n, k in zip(*np.nonzero(reference[1] > 0.1), strict=True):
            same = found[0][n][found[2][n] == reference[2][n, k]]
            assert np.abs(same - reference[0][n, k]).max(axis=1).min() < 0.5, "a box in px"


def _layer(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def _set(model: onnx.ModelProto, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Replace a constant, whether stored as FP32 or as FP16 with a Cast behind it."""
    for node in [node for node in model.graph.node if node.op_type == "Cast" and name in node.output]:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[0])
        model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), name))
        model.graph.node.remove(node)
        model.graph.initializer.remove(tensor)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))


def _one(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    def change(values: NDArray[Any]) -> NDArray[Any]:
        changed = values.copy()
        changed.flat[-1] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("tensor", "change", "says"),
    [
        pytest.param(1, lambda w: w * np.float32(1e6), "beyond FP16's largest value (65504)", id="weights times 1e6"),
        pytest.param(1, _one(-65505.0), "holds 65505, beyond", id="the first whole number too far, negative"),
        pytest.param(1, _one(np.nan), "not finite", id="a NaN among the weights"),
        pytest.param(2, _one(np.nan), "not finite", id="a NaN among the biases"),
        pytest.param(2, _one(np.inf), "not finite", id="an infinite bias"),
        pytest.param(2, _one(1e5), "holds 100000, beyond", id="a large bias"),
    ],
)
def test_a_constant_that_half_cannot_hold_is_refused_with_its_layer(
    tensor: int, change: Callable[[NDArray[Any]], NDArray[Any]], says: str
) -> None:
    model = onnx.load(str(SHIPPED / "model.onnx"))
    layer = _layer(model, "node_conv2d_10")
    name = layer.input[tensor]
    _set(model, name, change)
    with pytest.raises(EngineError) as refused:
        to_half(model)
    message = str(refused.value)
    assert says in message
    assert f"tensor {name} of layer node_conv2d_10" in message
    assert "train anew" in message


def test_a_weight_that_was_stored_as_infinity_is_refused() -> None:
    model = onnx.load(str(SHIPPED / "model.onnx"))
    weight = _layer(model, "node_conv2d_10").input[1]
    cast = next(node for node in model.graph.node if weight in node.output)
    stored = next(tensor for tensor in model.graph.initializer if tensor.name == cast.input[0])
    assert stored.data_type == TensorProto.FLOAT16
    _set(model, stored.name, _one(np.inf))
    with pytest.raises(EngineError, match=r"node_conv2d_10 holds values that are not finite"):
        to_half(model)


def test_the_largest_half_value_is_accepted() -> None:
    model = onnx.load(str(SHIPPED / "model.onnx"))
    _set(model, _layer(model, "node_conv2d_10").input[2], _one(65504.0))
    assert to_half(model).convolutions == 20


_SMALL = """
<ir_version: 9, opset_import: ["" : 18]>
small (float[N,2,8,8] x) => (float[N,2,8,8] raw, float[N,2,8,8] scaled)
<float[2,2,1,1] w = {1.0, 2.0, 3.0, 4.0}, float s = {0.5}, float[1] s_fp16 = {7.0}>
{
  a = Conv (x, w)
  shift = Constant <value = float {0.25}> ()
  b = Add (a, s)
  c = Add (b, shift)
  raw = Conv (c, w)
  d = Mul (b, s)
  e = Mul (d, shift)
  scaled = Mul (e, s_fp16)
}
"""


def test_what_both_sides_use_is_kept_for_both() -> None:
    """Constants and activations shared with FP32 nodes, a constant inside a node, a convolution for an output, a name taken."""
    source = onnx.parser.parse_model(_SMALL)
    half = to_half(source)
    types = element_types(half.model)
    taken = {node.output[0]: list(node.input) for node in half.model.graph.node}
    assert [types[name] for name in taken["b"]] == [TensorProto.FLOAT16] * 2
    assert taken["b"][1] != "s_fp16", "that name was another constant's"
    assert (types["raw"], types["scaled"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    assert list(half.half_tensors) == ["a", "b", "c", "raw"]
    assert half.half_tensors["a"] == "a", "an unnamed node is called after its output"
    assert [tensor.name for tensor in half.model.graph.initializer if tensor.name == "w"] == []


def test_a_graph_without_a_convolution_stays_as_it_is() -> None:
    source = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> none (float[N] x) => (float[N] y) { y = Relu (x) }'
    )
    half = to_half(source)
    assert (half.convolutions, half.half_tensors) == (0, {})
    assert half.model.graph.node == source.graph.node


def test_a_convolution_of_another_type_is_named() -> None:
    source = onnx.parser.parse_model(
        '<ir_version: 9, opset_import: ["" : 18]> wide (double[N,1,8,8] x) => (double[N,1,8,8] y) '
        "<double[1,1,1,1] w = {1.0}> { y = Conv (x, w) }"
    )
    with pytest.raises(EngineError, match="layer y does not compute in FP32"):
        to_half(source)
