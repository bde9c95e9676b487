"""A configuration as a commented TOML file: what is stated stands there, everything else behind a # with its default."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from edge.contracts.bundle import Thresholds
from edge.contracts.version import VERSION
from edge.files import toml_value
from edge.settings.config_file import WRITTEN_FOR
from edge.settings.setting_rows import OF_THE_BUNDLE, SHIPPED, SettingRow, setting_rows

_HEAD = f"""# What an edge process is told, as `leuko-edge config init` writes it. A setting without # before it is in effect,
# all others show what holds without them. `leuko-edge config check FILE` looks through it, `leuko-edge config show
# --config FILE` prints every value in effect and where it comes from. Paths are relative to the working directory; ~ is the
# home directory.

# The version that this file was written for: an older one refuses it, a newer one reads it.
{WRITTEN_FOR} = {json.dumps(VERSION)}
"""
_EXAMPLES: dict[str, object] = {
    "source": "opencv:0",
    "um_per_px": 0.13,
    "profile": "profile.json",
    "profiles": {"locate": "profile-10x.json", "revisit": "profile-100x.json"},
    "objective": "50x/0.95",
    "signers": "signers",
    "keys": "keys",
    "telemetry": "tcp://127.0.0.1:5571",
    "metrics": "127.0.0.1:9570",
    "engine_dir": "engines",
    "threads": 4,
    "max_fields": 2000,
    "keep_frames": "frames",
    "keep_crops": "crops",
    "slide_id": "S-1",
    "sample_id": "A-1",
    "log_file": "/var/log/leukostream/edge.log",
    "bundle": "bundles/mine",
}
"""Of settings that have no default of their own, so that a line is whole once its # is taken away."""
_PARTS: dict[str, object] = {
    **Thresholds().model_dump(),
    "identify_by_class": {"neutrophil_band": 0.6},
    "target_leukocytes": 200,
    "limit_width_percent": {"lymphocyte": 10.0},
    "field_cap": 2000,
    "time_cap_s": 600.0,
}
_WIDTH = 118
_ABSENT = {OF_THE_BUNDLE: "default: the bundle's", SHIPPED: "default: the shipped one"}


def commented_configuration(stated: Mapping[str, Any]) -> str:
    """The file. `stated` are settings by name, values as JSON has them. Raises TypeError for what TOML cannot hold."""
    parts: list[str] = [_HEAD]
    tables: dict[str, list[str]] = {}
    for row in setting_rows():
        if row.part is None:
            parts.append("\n".join(_lines(row, stated.get(row.name), row.name)))
        else:
            inner = stated.get(row.name)
            value = inner.get(row.part) if isinstance(inner, Mapping) else None
            tables.setdefault(row.name, []).append("\n".join(_lines(row, value, row.part)))
    for name, lines in tables.items():
        parts += [f"# All that follows is part of `{name}`, so other settings belong above this line.\n[{name}]", *lines]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _lines(row: SettingRow, value: object, key: str) -> Iterator[str]:
    what = " or ".join(json.dumps(word) for word in row.choices) or row.value
    default = "" if row.default is not None or not row.default_text else f"; {_ABSENT.get(row.default_text, row.default_text)}"
    unset = "; not set by default" if row.default is None and not row.default_text else ""
    yield from (f"# {line}" for line in textwrap.wrap(f"{row.description} ({what}{default}{unset})", _WIDTH))
    if value is not None:
        yield f"{key} = {toml_value(value)}"
        return
    yield f"# {key} = {toml_value(_shown(row))}"


def _shown(row: SettingRow) -> object:
    if row.default is not None:
        return row.default
    examples = _PARTS if row.part else _EXAMPLES
    return examples.get(row.part or row.name, "...")
