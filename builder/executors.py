"""What runs a bundle's graph on frames: onnxruntime's CPU provider, an emulation of FP16 on it, and an engine of the edge.

onnxruntime in FP32 is the reference of the parity gate. It has no FP16 convolution on x86. It puts casts around such a node and
then removes the pairs between two of them, so an FP16 graph given to it is computed in FP32 throughout: not one value between
the layers is rounded (measured with onnxruntime 1.23.2, at every optimisation level). On ARM it does have FP16 kernels, which
also add up in FP16. Neither says how an engine rounds, hence the rounding is written into the graph, as casts to FP16 and back
that onnxruntime has to keep: the same numbers on every CPU.

What the emulation shows: the error of storing weights and every layer's output in FP16 (11 significant bits, largest value
65504). What it does not show: how an engine adds up, which layers it fuses (it then rounds less often) or which algorithm it
takes.
"""

import functools
from itertools import cycle
from typing import Protocol

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError, first_line
from edge.engine.base import INPUT, Engine, check_outputs, check_values, expected_outputs

_PROVIDERS = ["CPUExecutionProvider"]
_KINDS = {"tensor(float)": "float32", "tensor(int32)": "int32"}
_ERRORS_ONLY = 3

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT

MOVES_ONLY = {
    "Concat", "Expand", "Flatten", "Gather", "GatherElements", "Identity", "MaxPool", "Pad", "Reshape", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators whose output holds only values of their inputs, which are rounded already."""


class Executor(Protocol):
    """Anything that runs a bundle's graph on frames of one size."""

    @property
    def name(self) -> str: ...

    @property
    def is_emulation(self) -> bool: ...

    @property
    def max_batch(self) -> int: ...

    def run(self, frames: Image) -> RawDetections:
        """Rows for frames uint8 [n, H, W, 3], n up to `max_batch`. Raises `EngineError`."""
        ...


class CpuExecutor:
    """One graph, run on the CPU in FP32.

    `model` is the bundle's graph or, with `is_emulation`, the FP16 graph that was made of it: its FP16 values are then rounded
    where the graph computes them (the top of this file says what that shows). Raises `EngineError` when onnxruntime refuses the
    graph, it breaks the contract of the outputs, or onnxruntime would drop the rounding. More than
    `max_batch` frames per run are no faster.
    """

    def __init__(self, model: onnx.ModelProto | bytes, *, is_emulation: bool) -> None:
        graph = _parse(model)
        self.is_emulation = is_emulation
        self.name = f"onnxruntime {onnxruntime.__version__} on CPU, {'FP16 graph emulated' if is_emulation else 'f32'}"
        if is_emulation:
            if not rounds_to_half():
                raise EngineError(
                    f"onnxruntime {onnxruntime.__version__} drops the rounding to FP16, so nothing can be emulated with it; "
                    "install another version."
                )
            graph = emulated(graph)
        self._session = _open(graph)
        outputs = {port.name: (tuple(port.shape[1:]), _KINDS.get(port.type, port.type)) for port in self._session.get_outputs()}
        rows = next((shape[0] for shape, _ in outputs.values() if shape), 0)
        self.top_k = rows if isinstance(rows, int) else 0
        check_outputs(outputs, self.top_k, "under test")
        self.max_batch = 1
        self._names = list(expected_outputs(self.top_k))

    def run(self, frames: Image) -> RawDetections:
        """Rows for frames uint8 [n, H, W, 3]. Raises `EngineError` when a run fails or a value breaks the contract."""
        try:
            raw = RawDetections(*self._session.run(self._names, {INPUT: frames}))
        except Exception as problem:  # onnxruntime's own classes share no base but this
            raise EngineError(
                f"{self.name} cannot run frames of shape {list(frames.shape)} ({first_line(problem)}); "
                "give frames that the bundle's graph takes."
            ) from problem
        check_values(raw)
        return raw


class EngineExecutor:
    """Runs an opened engine in batches as large as it takes, slot after slot, as a run does. The caller closes the engine."""

    is_emulation = False

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slots = cycle(range(engine.info.slots))
        self.name = str(engine.info)
        self.max_batch = engine.info.max_batch

    def run(self, frames: Image) -> RawDetections:
        """Rows for frames uint8 [n, H, W, 3], n up to `max_batch`. Raises `EngineError`."""
        slot = next(self._slots)
        self._engine.slot(slot)[: len(frames)] = frames
        self._engine.submit(slot, len(frames))
        return self._engine.collect(slot)


@functools.cache
def rounds_to_half() -> bool:
    """Whether this onnxruntime keeps a cast to FP16 and back, as `emulated` writes it. Two products need it in between."""
    value, factor = 1.0 + 2.0**-12, helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Mul", [INPUT, "one"], ["exact"]),
        helper.make_node("Cast", ["exact"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["half"], ["rounded"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["rounded"], ["y"]),
    ]
    x, out = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in (INPUT, "y"))
    graph = helper.make_graph(nodes, "probe", [x], [out], [factor])
    probe = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (y,) = _open(probe).run(["y"], {INPUT: np.array([value], np.float32)})
    return bool(y[0] == -1.0)


def _parse(model: onnx.ModelProto | bytes) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    try:
        return onnx.load_model_from_string(model)
    except DecodeError as problem:
        raise EngineError("these bytes are no ONNX model; export the bundle again with `leuko-train export`.") from problem


def _open(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # All of them: they reorder sums and fuse FP32 layers, but a cast to FP16 and back stays (tests hold it to that).
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # Its threads wait for each other by turning in circles, which on a core that is shared takes several times as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=_PROVIDERS)
    except Exception as problem:  # onnxruntime's own classes share no base but this
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} cannot load the graph ({first_line(problem)}); export the bundle again."
        ) from problem


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
