"""What is in a bundle: its graph held against the contract, its weights, and where they come from."""

from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from builder.graph_contract import Port, check_graph, ports
from edge.contracts.bundle import Bundle, load_bundle
from edge.contracts.errors import BundleError

FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}


@dataclass(frozen=True, slots=True)
class Inspection:
    """A bundle whose hashes hold, and its graph. `problems` is empty when the graph keeps the contract."""

    bundle: Bundle
    inputs: list[Port]
    outputs: list[Port]
    operators: dict[str, int]
    parameters: dict[str, int]
    """stored floating-point values per dtype, without those inside Constant nodes"""
    opset: int
    model_bytes: int
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        manifest = self.bundle.manifest
        return {
            "bundle_id": self.bundle.bundle_id,
            **manifest.model_dump(mode="json", exclude={"classes", "files", "schema_version"}),
            "inputs": [str(port) for port in self.inputs],
            "outputs": [str(port) for port in self.outputs],
            "opset": self.opset,
            "operators": self.operators,
            "parameters": self.parameters,
            "model_bytes": self.model_bytes,
            "problems": self.problems,
        }


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file without external data. Raises `BundleError` when it is none."""
    try:
        return onnx.load(str(path), load_external_data=False)
    except DecodeError as problem:
        raise BundleError(f"{path} is no ONNX model; export the bundle again with `leuko-train export`.") from problem


def inspect_bundle(path: Path) -> Inspection:
    """Verify a bundle's hashes and look into its graph. Raises `BundleError` when a hash or the file format does not hold."""
    bundle = load_bundle(path)
    model = read_graph(bundle.model_path)
    inputs, outputs = ports(model)
    parameters: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        if tensor.data_type in FLOATS:
            parameters[TensorProto.DataType.Name(tensor.data_type).lower()] += prod(tensor.dims)
    return Inspection(
        bundle=bundle,
        inputs=inputs,
        outputs=outputs,
        operators=dict(Counter(node.op_type for node in model.graph.node).most_common()),
        parameters=dict(parameters.most_common()),
        opset=next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0),
        model_bytes=bundle.model_path.stat().st_size,
        problems=check_graph(model, bundle.manifest.top_k),
    )
