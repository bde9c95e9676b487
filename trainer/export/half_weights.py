"""Store an ONNX graph's large weights as FP16 while its arithmetic stays FP32."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.contracts.errors import DataError

SMALLEST_STORED = 1024
"""Smaller ones stay FP32: they cost nothing and may be sensitive."""


def store_weights_as_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the weights of each convolution by FP16 ones and a Cast to FP32.

    Nothing else is touched: default boxes are as large a tensor, and half precision would move them by a tenth of a pixel.

    Raises `DataError` naming the tensor when a value lies beyond FP16's range.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in weights or tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_STORED:
            continue
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(values).all():
            raise DataError(f"weights {tensor.name} exceed FP16's range (65504); the training has diverged, train anew.")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_to_fp32", to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    onnx.checker.check_model(result, full_check=True)
    return result
