"""The golden vectors as files: `<folder>/<name>.json` and `.msgpack`, with `index.json` to drive a test from.

A vector is what is put into one ZeroMQ part, byte for byte; no line end follows it. There is a folder for each direction, then
`newer` (a later minor version wrote it, and it must be read) and `refused` (the edge must answer it with REJECT).
"""

import json
from collections.abc import Iterator
from typing import Any

import msgpack

from edge.published.directions import DIRECTIONS, wire_type
from edge.published.refused import REFUSED
from edge.published.vectors_newer import NEWER
from edge.stream.codec import encode

INDEX = "index.json"

_Vector = tuple[dict[str, Any], bytes | None, bytes | None]
"""Its entry in the index, its JSON and its MessagePack part."""


def vector_files() -> dict[str, bytes]:
    """Content per path below `docs/vectors`, the index included."""
    files: dict[str, bytes] = {}
    index = []
    for entry, as_json, as_msgpack in [*_golden(), *_newer(), *_refused()]:
        index.append(json.dumps(entry, ensure_ascii=False))
        for key, part in (("json", as_json), ("msgpack", as_msgpack)):
            if part is not None:
                files[entry[key]] = part
    lines = ",\n ".join(index)
    return files | {INDEX: f"[\n {lines}\n]\n".encode()}


def _golden() -> Iterator[_Vector]:
    for direction in DIRECTIONS:
        for name, message in direction.vectors.items():
            entry = _entry(direction.name, name, direction.name, wire_type(message))
            yield entry | {"expect": "accept"}, encode(message, "json"), encode(message, "msgpack")


def _newer() -> Iterator[_Vector]:
    for name, newer in NEWER.items():
        entry = _entry("newer", name, newer.direction, newer.document["type"])
        text = json.dumps(newer.document, ensure_ascii=False, separators=(",", ":"))
        yield entry | {"expect": "accept", "same_as": newer.same_as}, text.encode(), msgpack.packb(newer.document)


def _refused() -> Iterator[_Vector]:
    for name, refused in REFUSED.items():
        entry = _entry("refused", name, "to_edge", None)
        absent = {key: None for key in ("json", "msgpack") if getattr(refused, key) is None}
        yield entry | absent | {"expect": "reject", "code": refused.code, "why": refused.why}, refused.json, refused.msgpack


def _entry(folder: str, name: str, direction: str, kind: str | None) -> dict[str, Any]:
    stem = f"{folder}/{name}"
    return {"name": name, "direction": direction, "type": kind, "json": f"{stem}.json", "msgpack": f"{stem}.msgpack"}
