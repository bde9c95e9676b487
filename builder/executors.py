"""Runs a graph on frames through onnxruntime's CPU provider: the reference of the parity gate, and the FP16 emulation."""

import functools

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper

from builder.emulation import emulated
from edge.contracts.detections import Image, RawDetections
from edge.contracts.errors import EngineError, first_line
from edge.engine.base import INPUT, check_outputs, check_values, expected_outputs

_PROVIDERS = ["CPUExecutionProvider"]
_KINDS = {"tensor(float)": "float32", "tensor(int32)": "int32"}
_ERRORS_ONLY = 3


class CpuExecutor:
    """One graph, run on the CPU in FP32.

    `model` is the bundle's graph or, with `is_emulation`, the FP16 graph that was made of it: its FP16 values are then rounded
    where the graph computes them (`emulation.py` says what that shows). Raises `EngineError` when onnxruntime refuses the
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


@functools.cache
def rounds_to_half() -> bool:
    """Whether this onnxruntime keeps a cast to FP16 and back, as `emulation.py` writes it. Two products need it in between."""
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
