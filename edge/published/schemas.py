"""JSON Schemas of everything that crosses a room's or the edge's border, generated from the models: `make schemas`.

Wire messages and records are described as they are sent; a reader must ignore keys it does not know.
"""

import json
from typing import Any

from pydantic import BaseModel

from edge.contracts.bundle import BundleManifest
from edge.contracts.engine_files import EngineManifest, ParityReport
from edge.contracts.profile import Profile
from edge.contracts.signature import Signature
from edge.published.directions import DIRECTIONS
from edge.settings import EdgeSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, type[BaseModel]] = {
    "bundle": BundleManifest,
    "engine": EngineManifest,
    "parity": ParityReport,
    "profile": Profile,
    "settings": EdgeSettings,
    "signature": Signature,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Schema per file name without its ending: the two directions of the wire, and each file a room reads."""
    described = {each.name: each.adapter.json_schema(mode="serialization") | {"title": each.title} for each in DIRECTIONS}
    for direction in list(described.values()):
        for message in [direction, *direction.get("$defs", {}).values()]:
            if "const" in message.get("properties", {}).get("type", {}):
                message["required"] = ["type", *message.get("required", [])]
    for name, model in FILES.items():
        described[name] = model.model_json_schema(mode="validation")
    # The shipped bundle lies inside the installed package, so this default is a path of the machine that generates.
    described["settings"]["properties"]["bundle"].pop("default")
    return {name: {"$schema": DIALECT, **schema} for name, schema in described.items()}


def schema_files() -> dict[str, bytes]:
    """Content per file name `<name>.schema.json`: the same bytes for the same models."""
    return {f"{name}.schema.json": dumped(schema) for name, schema in schemas().items()}


def dumped(document: object) -> bytes:
    """A published JSON document: sorted keys, so that its bytes depend on nothing but its content."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
