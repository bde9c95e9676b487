"""An FP16 graph as an FP32 graph that rounds where FP16 would: the same numbers on every CPU.

onnxruntime has no FP16 convolution on x86. It puts casts around such a node and then removes the pairs between two of them,
so an FP16 graph given to it is computed in FP32 throughout: not one value between the layers is rounded (measured with
onnxruntime 1.23.2, at every optimisation level). On ARM it does have FP16 kernels, which also add up in FP16. Neither says how
an engine rounds, hence the rounding is written into the graph, as casts to FP16 and back that onnxruntime has to keep.

What it shows: the error of storing weights and every layer's output in FP16 (11 significant bits, largest value 65504).
What it does not show: how an engine adds up, which layers it fuses (it then rounds less often) or which algorithm it takes.
"""

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from edge.contracts.errors import EngineError, first_line

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT

MOVES_ONLY = {
    "Concat", "Expand", "Flatten", "Gather", "GatherElements", "Identity", "MaxPool", "Pad", "Reshape", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators whose output holds only values of their inputs, which are rounded already."""


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of an FP16 graph in FP32, with every FP16 value rounded to FP16 where it is computed or cast.

    Graph inputs and outputs keep their types. Raises `EngineError` when an input or output is FP16 itself or the type of a
    value cannot be told.
    """
    try:
        typed = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except (onnx.shape_inference.InferenceError, DecodeError) as problem:
        raise EngineError(f"the FP16 graph's types cannot be inferred ({first_line(problem)}); build it again.") from problem
    types = {value.name: value.type.tensor_type.elem_type for value in [*typed.graph.value_info, *typed.graph.output]}
    ends = [*model.graph.input, *model.graph.output]
    if half := [value.name for value in ends if value.type.tensor_type.elem_type == HALF]:
        raise EngineError(f"the FP16 graph has FP16 inputs or outputs {half}; only what lies between them may be FP16.")
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.extend(_rewritten(node, types))
    graph = helper.make_graph(
        nodes, model.graph.name, model.graph.input, model.graph.output, [_single(t) for t in model.graph.initializer]
    )
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _rewritten(node: onnx.NodeProto, types: dict[str, int]) -> list[onnx.NodeProto]:
    """The node in FP32, followed by a rounding of each FP16 output."""
    unknown = [name for name in node.output if name and not types.get(name)]
    if unknown:
        raise EngineError(f"the type of {unknown[0]} in the FP16 graph cannot be told ({node.op_type}); build it again.")
    halves = [name for name in node.output if name and types[name] == HALF]
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            attribute.t.CopyFrom(_single(attribute.t))
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == HALF:
            attribute.i = SINGLE
    if not halves or node.op_type in MOVES_ONLY or node.op_type == "Constant":
        return [copy]
    after = []
    for index, name in enumerate(node.output):
        if name in halves:
            exact, half = f"{name}/exact", f"{name}/half"
            copy.output[index] = exact
            after.append(helper.make_node("Cast", [exact], [half], to=HALF))
            after.append(helper.make_node("Cast", [half], [name], to=SINGLE))
    return [copy, *after]


def _single(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != HALF:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
