"""The network alone, as a user would have it: a plain ONNX graph without the bundle's resizing and its choice of candidates,
and without a second look.

Usage: python plain_onnx.py BUNDLE/model.onnx plain.onnx      (needs onnx)
In: images float32 [1, 3, height, width], RGB, 0 to 1, of the network's size. Out: boxes [1, n, 4] in pixels of that size, and
scores [1, n, classes].
"""

import sys

import onnx
from onnx.helper import make_tensor_type_proto
from onnx.utils import Extractor


def cut(model: onnx.ModelProto) -> onnx.ModelProto:
    """From behind the resize to before the choice of the best candidates, for one image at a time."""
    model = onnx.shape_inference.infer_shapes(model)
    image = next(node.output[0] for node in model.graph.node if node.op_type == "Resize")
    boxes = next(node.input[0] for node in model.graph.node if node.op_type == "GatherElements")
    if sum(node.op_type == "TopK" for node in model.graph.node) > 1:
        # A second look chooses among boxes in pixels of the frame: before that they were multiplied by its size.
        boxes = next(node.input[0] for node in model.graph.node if boxes in node.output)
    ranked = next(node.input[0] for node in model.graph.node if node.op_type == "TopK")
    scores = next(node.input[0] for node in model.graph.node if ranked in node.output)
    plain = Extractor(model).extract_model([image], [boxes, scores])
    shape = [max(1, each.dim_value) for each in plain.graph.input[0].type.tensor_type.shape.dim]
    fixed = make_tensor_type_proto(onnx.TensorProto.FLOAT, shape).tensor_type.shape
    plain.graph.input[0].type.tensor_type.shape.CopyFrom(fixed)
    del plain.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(plain)


if __name__ == "__main__":
    onnx.save(cut(onnx.load(sys.argv[1])), sys.argv[2])
