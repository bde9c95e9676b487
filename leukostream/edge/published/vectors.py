"""The golden vectors as files: `<direction>/<name>.json` and `.msgpack`, with `index.json` to drive a test from.

A vector is what the edge and its clients put into one ZeroMQ part, byte for byte; no line end follows it.
"""

import json
from typing import Any

from leukostream.edge.contracts.base import Wire
from leukostream.edge.published.from_edge import FROM_EDGE_VECTORS
from leukostream.edge.published.to_edge import TO_EDGE_VECTORS
from leukostream.edge.stream.codec import encode

Entry = dict[str, Any]


def vectors() -> dict[str, bytes]:
    """Content per path below `docs/vectors`, `index.json` included."""
    files: dict[str, bytes] = {}
    index: list[Entry] = []
    for direction, messages in (("to_edge", TO_EDGE_VECTORS), ("from_edge", FROM_EDGE_VECTORS)):
        for name, message in messages.items():
            files |= _both(f"{direction}/{name}", message)
            index.append(_entry(name, direction, message) | {"expect": "accept"})
    lines = ",\n ".join(json.dumps(entry, ensure_ascii=False) for entry in index)
    return files | {"index.json": f"[\n {lines}\n]\n".encode()}


def _both(stem: str, message: Wire) -> dict[str, bytes]:
    return {f"{stem}.json": encode(message, "json"), f"{stem}.msgpack": encode(message, "msgpack")}


def _entry(name: str, direction: str, message: Wire) -> Entry:
    kind = message.model_dump()["type"]
    stem = f"{direction}/{name}"
    return {"name": name, "direction": direction, "type": kind, "json": f"{stem}.json", "msgpack": f"{stem}.msgpack"}
