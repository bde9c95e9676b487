"""JSON Schemas of everything that crosses a room's or the edge's border, generated from the models: `make schemas`.

Wire messages and records are described as they are sent; a reader must ignore keys it does not know.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from leukostream.edge.contracts.bundle import BundleManifest
from leukostream.edge.contracts.engine import EngineManifest, ParityReport
from leukostream.edge.contracts.messages import FROM_EDGE, TO_EDGE
from leukostream.edge.contracts.profile import Profile
from leukostream.edge.settings import EdgeSettings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, type[BaseModel]] = {
    "bundle": BundleManifest,
    "engine": EngineManifest,
    "parity": ParityReport,
    "profile": Profile,
    "settings": EdgeSettings,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Schema per file name without its ending: the two directions of the wire, and each file a room reads."""
    described = {
        "to_edge": TO_EDGE.json_schema(mode="serialization") | {"title": "Messages a controller or observer sends to the edge"},
        "from_edge": FROM_EDGE.json_schema(mode="serialization") | {"title": "Messages and records the edge sends"},
    }
    for direction in list(described.values()):
        for message in direction["$defs"].values():
            if "const" in message.get("properties", {}).get("type", {}):
                message["required"] = ["type", *message.get("required", [])]
    for name, model in FILES.items():
        described[name] = model.model_json_schema(mode="validation")
    # The shipped bundle lies inside the installed package, so this default is a path of the machine that generates.
    described["settings"]["properties"]["bundle"].pop("default")
    return {name: {"$schema": DIALECT, **schema} for name, schema in described.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write one `<name>.schema.json` each into `folder`, with the same bytes for the same models; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m leukostream.edge.schemas FOLDER")
    for path in write_schemas(Path(sys.argv[1])):
        print(path)
