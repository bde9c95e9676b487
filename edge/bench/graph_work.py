"""How much a graph computes, and how much this machine can at best: convolutions and matrix products, on OpenVINO."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge.contracts.bundle import Bundle
from edge.contracts.errors import EngineError
from edge.engine.base import INPUT
from edge.engine.openvino import loaded_openvino, use_thread_stack_for_signals

_CHANNELS, _SIDE_PX, _KERNEL_PX = 256, 56, 3
_MATRIX = 1024
_IN_A_ROW = 6
_WARM_UP = 3


def gflop_per_frame(bundle: Bundle, frame_width_px: int, frame_height_px: int) -> float:
    """10^9 multiplications and additions of one frame in convolutions and matrix products; what else a graph does is far less.

    Raises `EngineError` for a graph that OpenVINO does not read.
    """
    try:
        model = loaded_openvino().Core().read_model(bundle.read_model())
        model.reshape({INPUT: [1, frame_height_px, frame_width_px, 3]})
        return sum(_flop(node) for node in model.get_ordered_ops()) / 1e9
    except RuntimeError as problem:
        raise EngineError(f"OpenVINO cannot read the graph of bundle {bundle.path}: {problem}") from problem


def _flop(node: Any) -> float:  # noqa: ANN401 OpenVINO has no types
    kind = node.get_type_name()
    if kind in {"Convolution", "GroupConvolution"}:
        kernel = list(node.input(1).get_shape())
        # A kernel is [out, in, height, width], with the groups first where there are several.
        per_output = float(np.prod(kernel[2:] if kind == "GroupConvolution" else kernel[1:]))
        return 2 * per_output * float(np.prod(list(node.output(0).get_shape())))
    if kind == "MatMul":
        inner = list(node.input(0).get_shape())[-2 if node.get_attributes().get("transpose_a") else -1]
        return 2 * float(inner) * float(np.prod(list(node.output(0).get_shape())))
    return 0.0


def machine_limit(precision: str, threads: int | None, repeats: int) -> dict[str, float]:
    """GFLOP/s of large convolutions (3 x 3, 256 to 256 channels) and of matrix products (1024), the fastest of `repeats` each.

    Several are in a row, so that the way in and out is a small part. In `precision` with `threads`. Raises `EngineError`.
    """
    ops = loaded_openvino().opset13
    image = ops.parameter([1, _CHANNELS, _SIDE_PX, _SIDE_PX], np.float32)
    matrix = ops.parameter([_MATRIX, _MATRIX], np.float32)
    convolution, product = image, matrix
    kernel = ops.constant(_noise((_CHANNELS, _CHANNELS, _KERNEL_PX, _KERNEL_PX)) / (_KERNEL_PX * _CHANNELS**0.5))
    factor = ops.constant(_noise((_MATRIX, _MATRIX)) / _MATRIX**0.5)
    for _ in range(_IN_A_ROW):
        convolution = ops.convolution(convolution, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
        product = ops.matmul(product, factor, False, False)
    work = {
        "convolution": (convolution, image, 2.0 * _IN_A_ROW * _CHANNELS**2 * _KERNEL_PX**2 * _SIDE_PX**2),
        "matrix_product": (product, matrix, 2.0 * _IN_A_ROW * _MATRIX**3),
    }
    runs = {name: (_compiled(result, given, precision, threads), flop) for name, (result, given, flop) in work.items()}
    best_s = dict.fromkeys(runs, float("inf"))
    for number in range(repeats + _WARM_UP):
        for name, (request, _) in runs.items():
            began_ns = time.monotonic_ns()
            request.infer()
            if number >= _WARM_UP:
                best_s[name] = min(best_s[name], (time.monotonic_ns() - began_ns) / 1e9)
    return {f"{name}_gflop_per_s": flop / best_s[name] / 1e9 for name, (_, flop) in runs.items()}


def _compiled(result: Any, given: Any, precision: str, threads: int | None) -> Any:  # noqa: ANN401
    ov = loaded_openvino()
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        compiled = ov.Core().compile_model(ov.Model([result], [given]), "CPU", settings)
        request = compiled.create_infer_request()
        request.set_input_tensor(ov.Tensor(_noise(list(given.get_output_shape(0)))))
    except RuntimeError as problem:
        raise EngineError(f"this machine's limit cannot be measured in {precision}: {problem}") from problem
    use_thread_stack_for_signals()
    return request


def _noise(shape: Sequence[int]) -> Any:  # noqa: ANN401
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)
