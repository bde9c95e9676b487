"""Convolutions of an int8 graph that compute in floating point again, as they did in the graph that it was made of.

NNCF corrects each convolution's bias by what its own rounding does to its output, given inputs that nobody has rounded. So the
others stay right when one goes back: what comes out is what would come out of quantising anew without it.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import numpy_helper

from builder.half_graph import CONVOLUTIONS, layer_name

_ROUNDED = "DequantizeLinear"


def in_float_again(quantised: onnx.ModelProto, plain: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    """A copy of `quantised` in which the convolutions `names` take weights, biases and unrounded inputs of `plain`, whose names
    they have. Those that are in floating point already stay as they are."""
    model = onnx.ModelProto()
    model.CopyFrom(quantised)
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {tensor.name: tensor for tensor in plain.graph.initializer}
    as_it_was = {layer_name(node): node for node in plain.graph.node if node.op_type in CONVOLUTIONS}
    for node in graph.node:
        if node.op_type not in CONVOLUTIONS or layer_name(node) not in names:
            continue
        rounded = made_by.get(node.input[0])
        if rounded is None or rounded.op_type != _ROUNDED:
            continue
        node.input[0] = made_by[rounded.input[0]].input[0]
        del node.input[1:]
        for name in as_it_was[layer_name(node)].input[1:]:
            own = f"{name}/float"
            graph.initializer.append(numpy_helper.from_array(np.array(numpy_helper.to_array(stored[name])), own))
            node.input.append(own)
    _keep_what_is_needed(graph)
    return model


def _keep_what_is_needed(graph: onnx.GraphProto) -> None:
    """Without the nodes and constants that no output rests on any more."""
    made_by = {name: node for node in graph.node for name in node.output}
    needed: set[str] = set()
    ahead = [output.name for output in graph.output]
    while ahead:
        name = ahead.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in made_by:
            ahead.extend(filter(None, made_by[name].input))
    nodes = [node for node in graph.node if not needed.isdisjoint(node.output)]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    for field, content in (("node", nodes), ("initializer", constants)):
        kept = [type(each).FromString(each.SerializeToString()) for each in content]
        graph.ClearField(field)
        getattr(graph, field).extend(kept)
    del graph.value_info[:]  # of what is gone, too
