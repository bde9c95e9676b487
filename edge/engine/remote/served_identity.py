"""What a server says of itself and of a bundle's model, and whether that can be the bundle's graph."""

import json
from typing import Any

from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from edge.contracts.bundle import Bundle
from edge.contracts.errors import EngineError
from edge.contracts.served_model import ServedIdentity, model_name, model_version
from edge.engine.base import INPUT, expected_outputs
from edge.engine.remote.connection import ServerWanted, said_by, unreachable

_DECIDES = ("platform", "backend", "optimization", "parameters", "instance_group", "default_model_filename")
"""Of a model's configuration: what computes, and in which precision. Queues and batches are the server's own matter."""
_KINDS = {"float32": "FP32", "int32": "INT32"}


def ask_identity(
    client: "grpc.InferenceServerClient", wanted: ServerWanted, bundle: Bundle, timeout_s: float
) -> ServedIdentity:
    """Raises `EngineError` when the server does not answer, has no such model, or its inputs or outputs are not the graph's."""
    address = wanted.address
    name, version = model_name(bundle.bundle_id), str(model_version(bundle.bundle_id))
    try:
        server: dict[str, Any] = client.get_server_metadata(as_json=True, client_timeout=timeout_s)
    except InferenceServerException as problem:
        raise unreachable(wanted, problem) from problem
    try:
        model: dict[str, Any] = client.get_model_metadata(name, version, as_json=True, client_timeout=timeout_s)
    except InferenceServerException as problem:
        raise EngineError(
            f"inference server {address} does not serve bundle {bundle.manifest.name} ({said_by(problem)}); write what it "
            f"loads with `leuko-build serve-repository {bundle.path} --out DIR`."
        ) from problem
    _check_ports(model, bundle, address)
    return ServedIdentity(
        server=str(server.get("name", "")),
        server_version=str(server.get("version", "")),
        model=name,
        version=version,
        platform=str(model.get("platform", "")),
        configuration=_configuration(client, name, version, timeout_s),
    )


def _configuration(client: "grpc.InferenceServerClient", name: str, version: str, timeout_s: float) -> dict[str, str]:
    try:
        found: dict[str, Any] = client.get_model_config(name, version, as_json=True, client_timeout=timeout_s)
    except InferenceServerException:
        return {}  # Triton's own extension of the protocol
    config = found.get("config", {})
    parts = {each: config.get(each) for each in _DECIDES if config.get(each)}
    if groups := parts.get("instance_group"):
        parts["instance_group"] = sorted({str(group.get("kind", "")) for group in groups})
    return {each: json.dumps(value, sort_keys=True) for each, value in parts.items()}


def _check_ports(model: dict[str, Any], bundle: Bundle, address: str) -> None:
    inputs = [(port.get("name"), port.get("datatype")) for port in model.get("inputs", [])]
    outputs = {port.get("name"): (port.get("datatype"), _shape(port)[1:]) for port in model.get("outputs", [])}
    wrong = "" if inputs == [(INPUT, "UINT8")] else f"its inputs are {inputs}"
    for name, (shape, kind) in expected_outputs(bundle.manifest.top_k).items():
        have_kind, have = outputs.get(name, ("", ()))
        fits = len(have) == len(shape) and all(is_ in {-1, wanted} for is_, wanted in zip(have, shape, strict=True))
        if have_kind != _KINDS[kind] or not fits:
            wrong = wrong or f"its output {name!r} is {have_kind or 'missing'} {list(have)}"
    if wrong:
        raise EngineError(
            f"what inference server {address} serves is not the graph of bundle {bundle.manifest.name} ({wrong}); write what "
            f"it loads with `leuko-build serve-repository {bundle.path} --out DIR`."
        )


def _shape(port: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(length) for length in port.get("shape", []))
