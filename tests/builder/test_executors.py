"""The emulation rounds where FP16 would, on any CPU; what onnxruntime refuses becomes one sentence."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from support.tiny_bundle import blob_field, tiny_model

from builder import executors
from builder.executors import CpuExecutor, emulated, rounds_to_half
from edge.contracts.errors import EngineError

_RNG = np.random.default_rng(20)
_X = _RNG.normal(size=(1, 3, 16, 16)).astype(np.float16)
_FIRST = _RNG.normal(size=(8, 3, 3, 3)).astype(np.float16)
_SECOND = _RNG.normal(size=(4, 8, 3, 3)).astype(np.float16)


def _two_convolutions() -> onnx.ModelProto:
    """x float32 -> FP16 convolution -> FP16 convolution -> y float32."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Conv", ["h", "first"], ["between"]),
        helper.make_node("Conv", ["between", "second"], ["out"]),
        helper.make_node("Cast", ["out"], ["y"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 12, 12])],
        [numpy_helper.from_array(_FIRST, "first"), numpy_helper.from_array(_SECOND, "second")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _convolved(x: NDArray[np.float64], weights: NDArray[np.float16]) -> NDArray[np.float64]:
    windows = sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.asarray(np.einsum("nchwij,ocij->nohw", windows, weights.astype(np.float64)))


def _half(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return x.astype(np.float16).astype(np.float64)


def _run(model: onnx.ModelProto, level: str) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["y"], {"x": _X.astype(np.float32)})[0], np.float32)


@pytest.mark.parametrize(
    "level",
    [
        pytest.param("ORT_DISABLE_ALL", id="nothing optimised"),
        pytest.param("ORT_ENABLE_EXTENDED", id="layers fused"),
        pytest.param("ORT_ENABLE_ALL", id="layout changed: what the executor uses"),
    ],
)
def test_every_layer_of_the_emulation_is_rounded_as_numpy_rounds(level: str) -> None:
    between = _convolved(_X.astype(np.float64), _FIRST)
    rounded, not_rounded = _half(_convolved(_half(between), _SECOND)), _half(_convolved(between, _SECOND))
    y = _run(emulated(_two_convolutions()), level).astype(np.float64)
    step = np.spacing(np.abs(rounded).astype(np.float16)).astype(np.float64)
    assert np.array_equal(y, _half(y))
    # Sums in another order may end on the other side of a tie, one step of FP16 away.
    assert np.mean(y == rounded) > 0.99
    assert np.all(np.abs(y - rounded) <= step)
    # The case is one in which the rounding in between can be seen at all.
    assert np.mean(not_rounded == rounded) < 0.9


def test_emulation_keeps_ports_and_leaves_no_half_value_but_between_two_casts() -> None:
    model = emulated(_two_convolutions())
    onnx.checker.check_model(model, full_check=True)
    types = {v.name: v.type.tensor_type.elem_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    halves = {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    assert halves == {f"{name}/half" for name in ("h", "between", "out")}
    assert all(tensor.data_type == TensorProto.FLOAT for tensor in model.graph.initializer)


def test_a_value_beyond_fp16_is_infinite_as_on_a_gpu() -> None:
    model = _two_convolutions()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full_like(_FIRST, 60000), "first"))
    assert not np.isfinite(_run(emulated(model), "ORT_ENABLE_ALL")).all()


def test_values_that_are_only_moved_are_not_rounded_again() -> None:
    model = _two_convolutions()
    model.graph.node[2].input[0] = "pooled"
    model.graph.node.insert(2, helper.make_node("MaxPool", ["between"], ["pooled"], kernel_shape=[1, 1]))
    assert sum(node.op_type == "Cast" for node in emulated(model).graph.node) == 2 + 3 * 2


def _half_output(model: onnx.ModelProto) -> None:
    del model.graph.node[3]
    model.graph.output[0].name = "out"
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def _flat_kernel(model: onnx.ModelProto) -> None:
    model.graph.node[1].attribute.append(helper.make_attribute("kernel_shape", [3]))


def _unknown_operator(model: onnx.ModelProto) -> None:
    model.graph.node[1].domain = "someone"
    model.opset_import.append(helper.make_opsetid("someone", 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(_half_output, "FP16 inputs or outputs", id="the contract's ports are FP32"),
        pytest.param(_flat_kernel, "types cannot be inferred", id="a layer that contradicts itself"),
        pytest.param(_unknown_operator, "cannot be told", id="a plugin, whose types nobody knows"),
    ],
)
def test_a_graph_that_cannot_be_emulated_is_refused(change: Callable[[onnx.ModelProto], None], says: str) -> None:
    model = _two_convolutions()
    change(model)
    with pytest.raises(EngineError, match=says):
        emulated(model)


def test_this_onnxruntime_keeps_the_rounding() -> None:
    assert rounds_to_half()


def test_an_onnxruntime_that_drops_the_rounding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "rounds_to_half", lambda: False)
    with pytest.raises(EngineError, match="install another version"):
        CpuExecutor(tiny_model(), is_emulation=True)
    CpuExecutor(tiny_model(), is_emulation=False)


def test_the_reference_finds_what_is_in_the_frames() -> None:
    executor = CpuExecutor(tiny_model(top_k=64), is_emulation=False)
    raw = executor.run(np.stack([blob_field(), blob_field([("lymphocyte", 40, 40)])]))
    assert executor.name == f"onnxruntime {onnxruntime.__version__} on CPU, f32"
    assert (executor.top_k, raw.boxes.shape, raw.labels.dtype) == (64, (2, 64, 4), np.int32)
    assert raw.scores[0].max() < 0.1
    assert raw.scores[1].max() > 0.9


def test_a_graph_without_half_values_is_emulated_as_it_is() -> None:
    executor = CpuExecutor(tiny_model(), is_emulation=True)
    frames = blob_field([("eosinophil", 40, 40)])[None]
    assert executor.name.endswith("FP16 graph emulated")
    assert np.array_equal(executor.run(frames).scores, CpuExecutor(tiny_model(), is_emulation=False).run(frames).scores)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param(b"\xff\xff no graph", "no ONNX model", id="other bytes"),
        pytest.param(b"", "cannot load", id="an empty file, which is a valid message without a graph"),
        pytest.param(tiny_model(fault="labels_int64"), "int64", id="a kind that no engine returns"),
        pytest.param(tiny_model(fault="scores_named_score"), "has no output 'scores'", id="an output is missing"),
        pytest.param(tiny_model(fault="boxes_flat"), "boxes", id="three corners"),
    ],
)
def test_a_graph_that_no_engine_could_run_is_refused(model: bytes, says: str) -> None:
    with pytest.raises(EngineError, match=says) as refused:
        CpuExecutor(model, is_emulation=False)
    assert "\n" not in str(refused.value)


def test_a_run_that_fails_is_one_sentence() -> None:
    executor = CpuExecutor(tiny_model(), is_emulation=False)
    with pytest.raises(EngineError, match="cannot run frames") as refused:
        executor.run(np.zeros((1, 128, 160, 1), np.uint8))
    assert "\n" not in str(refused.value)


def test_scores_that_are_no_numbers_are_an_error_and_no_empty_field() -> None:
    executor = CpuExecutor(tiny_model(fault="nan_if_black"), is_emulation=False)
    with pytest.raises(EngineError, match="not finite"):
        executor.run(np.zeros((1, 128, 160, 3), np.uint8))
