"""Whether an ONNX graph is one that every engine can run: raw frames in, boxes out, no shape that depends on the data.

frames  uint8   [N, H, W, 3]  N, H, W symbolic
boxes   float32 [N, K, 4]
scores  float32 [N, K]
labels  int32   [N, K]
"""

from dataclasses import dataclass

import onnx
from onnx import TensorProto

DATA_DEPENDENT = {"NonMaxSuppression", "NonZero", "Unique", "Compress", "If", "Loop", "Scan"}
"""Operators whose output shape or path depends on the data: TensorRT-RTX refuses some, CUDA graphs all of them."""

STANDARD_DOMAINS = {"", "ai.onnx"}

Dim = int | str | None
"""A fixed size, a symbol, or nothing stated."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join('?' if dim is None else str(dim) for dim in self.shape)}]"


def ports(model: onnx.ModelProto) -> tuple[list[Port], list[Port]]:
    """Inputs (weights excluded) and outputs of the graph."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_port(v) for v in model.graph.input if v.name not in weights], [_port(v) for v in model.graph.output]


def check_graph(model: onnx.ModelProto, top_k: int | None = None) -> list[str]:
    """Everything by which the graph breaks the contract, one sentence part each; empty when it keeps it.

    `top_k` is the number of rows its bundle promises; None accepts any fixed number.
    """
    inputs, outputs = ports(model)
    problems = _check_validity(model) + _check_frames(inputs) + _check_outputs(outputs, top_k)
    for node in model.graph.node:
        if node.op_type in DATA_DEPENDENT:
            problems.append(f"operator {node.op_type} ({node.name or 'unnamed'}) has a shape that depends on the data")
        if node.domain not in STANDARD_DOMAINS:
            problems.append(f"operator {node.domain}.{node.op_type} is not a standard one, so it needs a plugin")
        if node.op_type == "Transpose" and node.input[0] == "frames":
            problems.append("frames are transposed before they are cast, which TensorRT refuses for uint8")
    outside = [tensor.name for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        problems.append(f"{len(outside)} weights ({outside[0]}, ...) are in another file, which no hash of model.onnx covers")
    return problems


def _port(value: onnx.ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    dims: list[Dim] = []
    for dim in tensor.shape.dim:
        dims.append(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None)
    return Port(value.name, TensorProto.DataType.Name(tensor.elem_type).lower(), tuple(dims))


def _check_validity(model: onnx.ModelProto) -> list[str]:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as problem:
        return [f"it is no valid ONNX graph ({str(problem).splitlines()[0]})"]
    return []


def _check_frames(inputs: list[Port]) -> list[str]:
    if [port.name for port in inputs] != ["frames"]:
        return [f"its inputs are {[port.name for port in inputs]} and not frames alone"]
    (frames,) = inputs
    problems = []
    if frames.dtype != "uint8":
        problems.append(f"frames are {frames.dtype} and not uint8")
    if len(frames.shape) != 4 or frames.shape[3] != 3:
        problems.append(f"{frames} is not [N, H, W, 3]")
    elif fixed := [dim for dim in frames.shape[:3] if isinstance(dim, int)]:
        problems.append(f"{frames} has fixed sizes {fixed} where N, H and W must be symbolic")
    return problems


def _check_outputs(outputs: list[Port], top_k: int | None) -> list[str]:
    expected = {"boxes": ("float", 3), "scores": ("float", 2), "labels": ("int32", 2)}
    if [port.name for port in outputs] != list(expected):
        return [f"its outputs are {[port.name for port in outputs]} and not {list(expected)}"]
    problems = []
    for port in outputs:
        dtype, rank = expected[port.name]
        if port.dtype != dtype:
            problems.append(f"{port.name} are {port.dtype} and not {dtype}")
        rows = port.shape[1] if len(port.shape) == rank else None
        if len(port.shape) != rank or (rank == 3 and port.shape[2] != 4):
            problems.append(f"{port} is not [N, K{', 4' if rank == 3 else ''}]")
        elif not isinstance(rows, int):
            problems.append(f"{port} does not fix its number of rows")
        elif top_k is not None and rows != top_k:
            problems.append(f"{port} has {rows} rows where the bundle promises {top_k}")
    return problems
