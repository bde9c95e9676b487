"""Constants of a graph as FP16, exact where they are stored so, refused where they are out of range."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge.contracts.errors import EngineError

LARGEST_HALF = 65504.0
"""The largest finite FP16 value (IEEE 754 binary16)."""


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
