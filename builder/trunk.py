"""Which nodes of a bundle's graph make up its trunk: the convolutions and what lies between them.

Only the trunk gains from FP16. What comes before the first convolution (pre-processing) or after the last one (decoding boxes
and scores) is a small part of the work and loses accuracy, and so does SSD's normalisation between two convolutions: its sum
of 512 squares is beyond FP16's range. So an operator is of the trunk when it only selects, moves or adds up values, and when
convolutions are both upstream and downstream of it; every other operator stays FP32, whatever it is.
"""

import onnx
from onnx import TensorProto

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})

BETWEEN = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Clip", "MaxPool", "AveragePool", "Resize", "Concat", "Add", "Pad", "Identity"}
)
"""Operators that may stand between two convolutions in FP16: none of them multiplies activations or sums up many."""


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
