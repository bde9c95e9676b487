"""Measurements as files: written whole, read again, and refused in a sentence where a file is none."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.contracts.errors import ConfigError
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole

SCHEMA = "leukostream-bench-1"


def write_text(path: Path, text: str) -> None:
    """Raises `ConfigError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({problem.strerror}); give another file.") from problem


def check_writable(path: Path | None) -> None:
    """Before minutes of measuring. Raises `ConfigError`."""
    if path is not None and path.is_dir():
        raise ConfigError(f"{path} is a folder; give the name of a file.")


def read_measurement(path: Path) -> dict[str, Any]:
    """What `leuko-edge bench --json FILE` wrote. Raises `ConfigError`."""
    try:
        content = json.loads(read_whole(path, SMALL_BYTES))
    except OSError as problem:
        raise ConfigError(
            f"measurement {path} cannot be read ({problem.strerror}); write one with `leuko-edge bench --json FILE`."
        ) from problem
    except ValueError as problem:
        raise ConfigError(
            f"measurement {path} is no JSON ({problem}); write one with `leuko-edge bench --json FILE`."
        ) from problem
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise ConfigError(
            f"{path} is no measurement of `leuko-edge bench --json FILE` (its `schema` is {found!r}, not {SCHEMA!r})."
        )
    return dict(content)


def case_name(case: Mapping[str, Any]) -> str:
    """What two measurements are matched by: model, runtime, precision, hint and batch. Older ones were all of latency."""
    hint = ", throughput hint" if case.get("hint") == "throughput" else ""
    return f"{case['bundle']}, {case['runtime']} {case['precision']}{hint}, batch {case['batch']}"
