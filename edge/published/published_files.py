"""What is published as files below `docs`: JSON Schemas, golden vectors, AsyncAPI, the version's lock, the settings.

Schemas are of everything that crosses a room's or the edge's border. Wire messages and records are described as they are sent;
a reader must ignore keys it does not know.

A vector, `<folder>/<name>.json` or `.msgpack`, is what is put into one ZeroMQ part, byte for byte; no line end follows it.
There is a folder for each direction, then `newer` (a later minor version wrote it, and it must be read) and `refused` (the edge
must answer it with REJECT); `index.json` lists them all, to drive a test from.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
from pydantic import BaseModel

from edge.contracts.bundle import BundleManifest
from edge.contracts.engine_files import EngineManifest, ParityReport
from edge.contracts.profile import Profile
from edge.contracts.signature import Signature
from edge.published.asyncapi import asyncapi_file
from edge.published.directions import DIRECTIONS, wire_type
from edge.published.lock import LOCK, described, extended
from edge.published.settings_page import settings_page
from edge.published.strict_schema import strict
from edge.published.vectors_newer import NEWER
from edge.published.vectors_to_edge import REFUSED
from edge.settings import EdgeSettings
from edge.settings.config_text import commented_configuration
from edge.stream.codec import encode

OLDER_LOCKS = "schemas/v*.lock.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS_OF_FILES: dict[str, type[BaseModel]] = {
    "bundle": BundleManifest,
    "engine": EngineManifest,
    "parity": ParityReport,
    "profile": Profile,
    "settings": EdgeSettings,
    "signature": Signature,
}
INDEX = "index.json"

_Vector = tuple[dict[str, Any], bytes | None, bytes | None]
"""Its entry in the index, its JSON and its MessagePack part."""


def published_files(docs: Path) -> dict[str, bytes]:
    """Content per path below `docs`. The lock there is taken into account: raises `LockError` when this version breaks it."""
    lock = docs / "schemas" / LOCK
    now = described()
    return {
        **{f"schemas/{name}": content for name, content in schema_files().items()},
        f"schemas/{LOCK}": dumped(extended(json.loads(lock.read_text(encoding="utf-8")), now) if lock.exists() else now),
        **{f"vectors/{path}": content for path, content in vector_files().items()},
        "asyncapi.yaml": asyncapi_file(),
        "settings.md": settings_page(),
        "edge.toml": commented_configuration({"source": "opencv:0", "um_per_px": 0.13}).encode(),
    }


def write_published(docs: Path) -> list[Path]:
    """Write everything anew and remove what is no longer of it; locks of older versions stay. Returns the paths written."""
    files = published_files(docs)
    for stale in stale_files(docs, files):
        stale.unlink()
    for name, content in files.items():
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_bytes(content)
    return [docs / name for name in files]


def stale_files(docs: Path, files: dict[str, bytes]) -> list[Path]:
    """What lies in the generated folders and is not generated any more."""
    there = [path for folder in ("schemas", "vectors") for path in (docs / folder).rglob("*") if path.is_file()]
    kept = set(docs.glob(OLDER_LOCKS)) | {docs / name for name in files}
    return sorted(set(there) - kept)


def schemas() -> dict[str, dict[str, Any]]:
    """Schema per file name without its ending: the two directions of the wire, and each file a room reads."""
    described = {each.name: each.adapter.json_schema(mode="serialization") | {"title": each.title} for each in DIRECTIONS}
    for direction in list(described.values()):
        for message in [direction, *direction.get("$defs", {}).values()]:
            if "const" in message.get("properties", {}).get("type", {}):
                message["required"] = ["type", *message.get("required", [])]
    for name, model in _MODELS_OF_FILES.items():
        described[name] = model.model_json_schema(mode="validation")
    # The shipped bundle lies inside the installed package, so this default is a path of the machine that generates.
    described["settings"]["properties"]["bundle"].pop("default")
    return {name: {"$schema": DIALECT, **strict(schema)} for name, schema in described.items()}


def schema_files() -> dict[str, bytes]:
    """Content per file name `<name>.schema.json`: the same bytes for the same models."""
    return {f"{name}.schema.json": dumped(schema) for name, schema in schemas().items()}


def dumped(document: object) -> bytes:
    """A published JSON document: sorted keys, so that its bytes depend on nothing but its content."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


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
