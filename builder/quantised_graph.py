"""The int8 graph of a bundle: the weights and inputs of its convolutions in 8 bits, written as QuantizeLinear/DequantizeLinear.

NNCF measures the range of every convolution's input on real fields, chooses the scales, corrects the biases for what rounding
does to the mean, and writes the graph. Four things are settled here:

- only inputs of convolutions are quantised, where they enter one. NNCF would move a quantiser through activations and poolings
  up to the layer before, which means the same; but OpenVINO 2026.4 then computes otherwise than the graph says: on ten fields
  the five highest scores differed by 0.15 in the mean, in place of 0.02 by onnxruntime, or by OpenVINO without its changes for
  low precision, on the same graph. A third of the cells changed their label;
- inputs have a zero of their own: behind a leaky activation they reach ten times as far up as down, and half of the steps would
  lie where no value does;
- pre-processing, decoding and the choice of candidates stay in floating point, as they do in FP16;
- the second look of a bundle that has one stays in floating point, too: 8 % of the work, which decides a cell's type.

Weights that a bundle stores as FP16 are made FP32 first, so that no quantiser can come between a weight and its Cast.
"""

import io
import logging
import sys
from collections.abc import Callable, Collection
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from builder.float_again import in_float_again
from builder.half_graph import CONVOLUTIONS, layer_name
from edge.contracts.detections import Image
from edge.contracts.errors import EngineError, first_line

_CHOOSES = frozenset({"TopK", "ArgMax", "NonMaxSuppression"})


@dataclass(frozen=True, slots=True)
class QuantisedGraph:
    """An int8 graph and the FP32 one that it was made of; its convolutions by name, in the order of the graph."""

    model: onnx.ModelProto
    plain: onnx.ModelProto
    method: str
    int8_convolutions: tuple[str, ...]
    float_convolutions: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The ONNX file."""
        return bytes(self.model.SerializeToString(deterministic=True))

    def with_float(self, names: Collection[str]) -> "QuantisedGraph":
        """The same with these of its int8 convolutions as they were. Raises ValueError when none would be left."""
        back = set(names)
        left = tuple(name for name in self.int8_convolutions if name not in back)
        if not left:
            raise ValueError("no convolution is left to compute in int8")
        convolutions = [layer_name(node) for node in self.plain.graph.node if node.op_type in CONVOLUTIONS]
        in_float = tuple(name for name in convolutions if name in back or name in self.float_convolutions)
        model = in_float_again(self.model, self.plain, back)
        onnx.checker.check_model(model, full_check=True)
        return replace(self, model=model, int8_convolutions=left, float_convolutions=in_float)


def quantise(
    model: onnx.ModelProto, frames: Image, keep_float: tuple[str, ...] = (), advance: Callable[[int], object] = lambda _: None
) -> QuantisedGraph:
    """The int8 graph of an FP32 `model`, which is left as it is; scales from `frames` uint8 [N, H, W, 3].

    `keep_float` names more layers that stay in floating point. `advance` is told how many frames were run. Raises
    `EngineError` when NNCF is not installed, a name is no convolution's, or no convolution is left to quantise.
    """
    nncf = _load()
    graph = _with_plain_weights(model)
    convolutions = [layer_name(node) for node in graph.graph.node if node.op_type in CONVOLUTIONS]
    if unknown := sorted(set(keep_float) - set(convolutions)):
        raise EngineError(f"the graph has no convolution called {unknown[0]}; it has {', '.join(convolutions)}.")
    left_out = {*keep_float, *behind_the_choice(graph.graph)}
    if not set(convolutions) - left_out:
        raise EngineError("no convolution is left to compute in int8; name fewer layers that stay in floating point.")
    for node in graph.graph.node:
        node.name = layer_name(node)
    ignored = [
        n.name for n in graph.graph.node if n.op_type != "Constant" and (n.op_type not in CONVOLUTIONS or n.name in left_out)
    ]

    def given(frame: Image) -> dict[str, Image]:
        advance(1)
        return {"frames": frame}

    quiet = io.StringIO()
    try:
        with redirect_stdout(quiet), redirect_stderr(quiet):
            made = nncf.quantize(
                graph,
                nncf.Dataset([frames[k : k + 1] for k in range(len(frames))], given),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(frames),
                ignored_scope=nncf.IgnoredScope(names=ignored),
            )
    except Exception as problem:  # NNCF's and onnxruntime's own classes share no base but this
        raise EngineError(
            f"NNCF {nncf.__version__} cannot quantise the graph ({first_line(problem)}); run the bundle in f32 or bf16."
        ) from problem
    onnx.checker.check_model(made, full_check=True)
    method = f"NNCF {nncf.__version__}, post-training, weights symmetric and inputs not, scales from real fields"
    quantised = tuple(name for name in convolutions if name not in left_out)
    return QuantisedGraph(made, graph, method, quantised, tuple(name for name in convolutions if name in left_out))


def behind_the_choice(graph: onnx.GraphProto) -> set[str]:
    """Convolutions that compute on what the graph has chosen itself: those of a second look."""
    behind: set[str] = set()
    found: set[str] = set()
    for node in graph.node:
        if node.op_type in _CHOOSES or not behind.isdisjoint(node.input):
            behind.update(node.output)
            if node.op_type in CONVOLUTIONS:
                found.add(layer_name(node))
    return found


def _load() -> Any:  # noqa: ANN401 it has no types that we check
    # It would ask an analytics server, as OpenVINO does (edge/engine/openvino.py).
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import nncf  # noqa: PLC0415 - an extra, which takes seconds to load
    except ImportError as problem:
        raise EngineError(
            "NNCF, which quantises, is not installed; install it with `pip install leukostream[quantize]`."
        ) from problem
    # Not by its `set_log_level`, which sets the level of every handler there, also of those that are not its own.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def _with_plain_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are FP32 initialisers, also those that are stored as FP16."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    halves = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    nodes = []
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in halves and node.attribute[0].i == TensorProto.FLOAT:
            values = numpy_helper.to_array(halves[node.input[0]]).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    needed = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, content in (("node", nodes), ("initializer", weights)):
        kept = [type(each).FromString(each.SerializeToString()) for each in content]
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    return plain
