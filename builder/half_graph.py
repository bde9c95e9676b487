"""The mixed FP16 graph that an engine is built from, derived from a bundle's FP32 graph.

The trunk is the convolutions and what lies between them; it takes and gives FP16, everything else FP32, and the graph's own
inputs and outputs keep their types. Only the trunk gains from FP16. What comes before the first convolution (pre-processing) or
after the last one (decoding boxes and scores) is a small part of the work and loses accuracy, and so does SSD's normalisation
between two convolutions: its sum of 512 squares is beyond FP16's range. So an operator is of the trunk when it only selects,
moves or adds up values, and when convolutions are both upstream and downstream of it; every other operator stays FP32, whatever
it is.

All operands of a node have one type and a Cast stands wherever FP16 and FP32 meet: TensorRT's strongly typed networks ask for
it, and they are the only kind that every TensorRT version in use can build with FP16 in it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.contracts.errors import EngineError

LARGEST_HALF = 65504.0
"""The largest finite FP16 value (IEEE 754 binary16)."""

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

BETWEEN = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Clip", "MaxPool", "AveragePool", "Resize", "Concat", "Add", "Pad", "Identity"}
)
"""Operators that may stand between two convolutions in FP16: none of them multiplies activations or sums up many."""

_SUFFIXES = {int(TensorProto.FLOAT): "fp32", int(TensorProto.FLOAT16): "fp16"}


@dataclass(frozen=True, slots=True)
class HalfGraph:
    """A mixed graph. Equal FP32 graphs give equal `content`, byte for byte."""

    model: onnx.ModelProto
    half_tensors: Mapping[str, str]
    """Tensors of the FP32 graph whose values this one keeps in FP16, weights excluded, to the name of the node that makes them;
    in the order of the graph"""
    convolutions: int
    """all of them are in FP16"""

    @property
    def content(self) -> bytes:
        """The ONNX file."""
        return bytes(self.model.SerializeToString(deterministic=True))

    @property
    def sha256(self) -> str:
        """Of `content`, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def to_half(model: onnx.ModelProto) -> HalfGraph:
    """Derive the mixed graph; `model` is left as it is.

    Weights that the bundle stores as FP16 are taken over bit by bit. Raises `EngineError` naming layer and tensor when a
    constant of the trunk is not finite or beyond FP16's range, or when a convolution does not compute in FP32.
    """
    return _Rewrite(model).result()


class _Rewrite:
    """One pass over the nodes. Tensors are looked up by their names in the FP32 graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._source = model
        self._types = element_types(model)
        self._constants = constants_of(model.graph)
        self._outputs = {value.name for value in model.graph.output}
        self._taken = self._types.keys() | {name for node in model.graph.node for name in node.output}
        self._half: dict[str, str] = {}
        """tensor to its FP16 counterpart; what the trunk makes keeps its name"""
        self._float: dict[str, str] = {}
        """what the trunk makes to its FP32 counterpart"""
        self._half_constants: dict[str, str] = {}
        self._weights: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._retyped: dict[str, tuple[str, int]] = {}
        """tensor of the new graph to the one whose values it has, and its type"""

    def result(self) -> HalfGraph:
        graph = self._source.graph
        trunk = trunk_of(graph, self._types)
        for at, node in enumerate(graph.node):
            if at in trunk:
                self._write_half(node)
            else:
                self._write(node, [self._float_of(name) for name in node.input])
        half_tensors = {name: layer_name(node) for node in graph.node for name in node.output if name in self._half}
        model = self._assemble()
        onnx.checker.check_model(model, full_check=True)
        return HalfGraph(model, half_tensors, sum(node.op_type in CONVOLUTIONS for node in model.graph.node))

    def _write_half(self, node: onnx.NodeProto) -> None:
        made, layer = node.output[0], layer_name(node)
        if self._types.get(made) != TensorProto.FLOAT:
            raise EngineError(
                f"layer {layer} does not compute in FP32, as the graph of a bundle does; "
                "export the bundle again with `leuko-train export`."
            )
        of_one_type = operands(node, self._types)
        inputs = [self._half_of(name, layer) if name in of_one_type else name for name in node.input]
        self._half[made] = self._new_name(made, TensorProto.FLOAT16) if made in self._outputs else made
        self._retyped[self._half[made]] = (made, TensorProto.FLOAT16)
        self._write(node, inputs).output[0] = self._half[made]
        if made in self._outputs:
            self._float[made] = made
            self._nodes.append(_cast(self._half[made], made, TensorProto.FLOAT))

    def _write(self, node: onnx.NodeProto, inputs: list[str]) -> onnx.NodeProto:
        written = onnx.NodeProto()
        written.CopyFrom(node)
        written.input[:] = inputs
        self._nodes.append(written)
        return written

    def _half_of(self, name: str, layer: str) -> str:
        if name in self._constants:
            if name not in self._half_constants:
                self._half_constants[name] = self._store_half(name, layer)
            return self._half_constants[name]
        if name not in self._half:
            self._half[name] = self._insert_cast(name, TensorProto.FLOAT16)
        return self._half[name]

    def _float_of(self, name: str) -> str:
        if name not in self._float and self._half.get(name) == name:
            self._float[name] = self._insert_cast(name, TensorProto.FLOAT)
        return self._float.get(name, name)

    def _store_half(self, name: str, layer: str) -> str:
        """Add a constant as FP16, or take it as it is stored; gives the name of that tensor."""
        constant = self._constants[name]
        values = as_half(constant, name, layer)
        if constant.data_type == TensorProto.FLOAT16 and self._types.get(constant.name) == TensorProto.FLOAT16:
            return str(constant.name)
        new = self._new_name(name, TensorProto.FLOAT16)
        self._weights.append(numpy_helper.from_array(values, new))
        return new

    def _insert_cast(self, name: str, to: int) -> str:
        new = self._new_name(name, to)
        self._retyped[new] = (name, to)
        self._nodes.append(_cast(name, new, to))
        return new

    def _new_name(self, name: str, element_type: int) -> str:
        base = f"{name}_{_SUFFIXES[element_type]}"
        new = next(candidate for n in count(1) if (candidate := base if n == 1 else f"{base}_{n}") not in self._taken)
        self._taken.add(new)
        return new

    def _assemble(self) -> onnx.ModelProto:
        """The new graph, without nodes, constants and types that nothing in it needs any more."""
        nodes, needed = _alive(self._nodes, self._outputs)
        old = self._source.graph
        weights = [tensor for tensor in old.initializer if tensor.name in needed] + self._weights
        there = {tensor.name for tensor in weights} | {name for node in nodes for name in node.output}
        infos = {value.name: value for value in (*old.input, *old.output, *old.value_info)}
        kept = [value for value in old.value_info if value.name in there and value.name not in self._retyped]
        for name, (stands_for, element_type) in self._retyped.items():
            if stands_for in infos:
                kept.append(_retyped(infos[stands_for], name, element_type))
        model = onnx.ModelProto()
        model.CopyFrom(self._source)
        for field, content in (("node", nodes), ("initializer", weights), ("value_info", kept)):
            model.graph.ClearField(field)
            getattr(model.graph, field).extend(content)
        return model


def _cast(name: str, new: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [new], name=f"{name}_to_{_SUFFIXES[to]}", to=to)


def _alive(nodes: list[onnx.NodeProto], outputs: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that the outputs need, in their order, and every tensor needed."""
    needed = set(outputs)
    alive = []
    for node in reversed(nodes):
        if not needed.isdisjoint(node.output):
            alive.append(node)
            needed.update(node.input)
    return alive[::-1], needed


def _retyped(value: onnx.ValueInfoProto, name: str, element_type: int) -> onnx.ValueInfoProto:
    new = onnx.ValueInfoProto()
    new.CopyFrom(value)
    new.name = name
    new.type.tensor_type.elem_type = element_type
    return new


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """Tensor name to its `TensorProto` element type, for every tensor whose type can be known."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.output, *graph.value_info)}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def trunk_of(graph: onnx.GraphProto, types: dict[str, int]) -> set[int]:
    """Positions in `graph.node` of the nodes that may compute in FP16."""
    behind: set[str] = set()
    for node in graph.node:
        if node.op_type in CONVOLUTIONS or not behind.isdisjoint(node.input):
            behind.update(node.output)
    trunk: set[int] = set()
    wanted: set[str] = set()
    for at in range(len(graph.node) - 1, -1, -1):
        node = graph.node[at]
        is_between = node.op_type in BETWEEN and types.get(node.output[0]) == TensorProto.FLOAT
        if node.op_type in CONVOLUTIONS or (is_between and node.output[0] in wanted and node.output[0] in behind):
            trunk.add(at)
            wanted.update(operands(node, types))
    return trunk


def operands(node: onnx.NodeProto, types: dict[str, int]) -> list[str]:
    """The FP32 inputs of a trunk node that have the type it computes in: all but the scales of a Resize."""
    inputs = node.input[:1] if node.op_type == "Resize" else node.input
    return [name for name in inputs if types.get(name) == TensorProto.FLOAT]


def layer_name(node: onnx.NodeProto) -> str:
    """The node's name; an unnamed node is called after its first output."""
    return node.name or str(node.output[0])


def constants_of(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Tensor name to the constant that it is: an initialiser, a Constant node, or a Cast to FP32 of one stored as FP16."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT and node.input[0] in found:
            stored = found[node.input[0]]
            if stored.data_type == TensorProto.FLOAT16:
                found[node.output[0]] = stored
    return found


def as_half(constant: onnx.TensorProto, name: str, layer: str) -> NDArray[np.float16]:
    """The values of a constant, FP32 or already FP16, as FP16.

    `name` is the tensor's in the graph, `layer` the node that takes it. Raises `EngineError` when a value is not finite or
    beyond `LARGEST_HALF`.
    """
    values = numpy_helper.to_array(constant)
    if not np.isfinite(values).all():
        raise EngineError(
            f"tensor {name} of layer {layer} holds values that are not finite, so no FP16 engine can be built; "
            "the training has diverged: train anew with a lower learning rate and export again."
        )
    # Compared as float32: FP16 has no number just above its largest.
    largest = float(np.abs(values.astype(np.float32)).max(initial=0.0))
    if largest > LARGEST_HALF:
        raise EngineError(
            f"tensor {name} of layer {layer} holds {largest:.6g}, beyond FP16's largest value ({LARGEST_HALF:.0f}), so no FP16 "
            "engine can be built; train anew with a lower learning rate or more weight decay, and export again."
        )
    return np.asarray(values, np.float16)
