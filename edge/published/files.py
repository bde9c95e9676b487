"""Everything of the published protocol as files below `docs`."""

import json
from pathlib import Path

from edge.published.asyncapi import asyncapi_file
from edge.published.lock import LOCK, described, extended
from edge.published.schemas import dumped, schema_files
from edge.published.vectors import vector_files

OLDER_LOCKS = "schemas/v*.lock.json"


def published_files(docs: Path) -> dict[str, bytes]:
    """Content per path below `docs`. The lock there is taken into account: raises `LockError` when this version breaks it."""
    lock = docs / "schemas" / LOCK
    now = described()
    return {
        **{f"schemas/{name}": content for name, content in schema_files().items()},
        f"schemas/{LOCK}": dumped(extended(json.loads(lock.read_text(encoding="utf-8")), now) if lock.exists() else now),
        **{f"vectors/{path}": content for path, content in vector_files().items()},
        "asyncapi.yaml": asyncapi_file(),
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
