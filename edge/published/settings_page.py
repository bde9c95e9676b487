"""The page of all settings, docs/settings.md: made from the model that states them, as the options and the schema are."""

from collections.abc import Iterator
from typing import Any

from edge.contracts.bundle import Thresholds
from edge.settings import SHIPPED_BUNDLE, EdgeSettings
from edge.settings.edge_settings import panel_of

_HEAD = """# Settings

What one edge process can be told. Each may stand in a YAML file, `setting: value` a line, which `--config` names; those with an
option may be stated on the command line, too. The command line wins over the file, the file over the profile, the profile
over the bundle. Units are in the names. `make schemas` writes this page from the model that the options of `leuko-edge run`
and [settings.schema.json](schemas/settings.schema.json) are made from.

| setting | option | value | default | what it is |
| --- | --- | --- | --- | --- |
"""
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`", "object": "by name"}


def settings_page() -> bytes:
    """The page, with one row for each setting in the order of the model."""
    rows = list(_rows())
    return (_HEAD + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)).encode()


def _rows() -> Iterator[tuple[str, ...]]:
    described = EdgeSettings.model_json_schema()["properties"]
    for name, field in EdgeSettings.model_fields.items():
        panel = panel_of(field)
        if panel is not None and panel.parts:
            for part, schema in Thresholds.model_json_schema()["properties"].items():
                option = _option(part) if part in panel.parts else ""
                yield f"`{name}: {part}`", option, _value(schema), "the bundle's", schema.get("description", "")
            continue
        schema = described[name]
        yield f"`{name}`", _option(name) if panel else "", _value(schema), _default(schema), field.description or ""


def _option(name: str) -> str:
    return f"`--{name.replace('_', '-')}`"


def _value(schema: dict[str, Any]) -> str:
    """Type and limits, of the one that is not null where that is a choice."""
    one = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), schema)
    if "enum" in one:
        return ", ".join(f"`{word}`" for word in one["enum"])
    words = "path" if one.get("format") == "path" else _TYPES[one["type"]]
    return ", ".join([words, *_limits(one)])


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "minimum" in schema and "maximum" in schema:
        yield f"{schema['minimum']:g} to {schema['maximum']:g}"
        return
    for key, word in (("exclusiveMinimum", "over"), ("minimum", "at least"), ("maximum", "at most")):
        if key in schema:
            yield f"{word} {schema[key]:g}"


def _default(schema: dict[str, Any]) -> str:
    if "default" not in schema:
        return "must be set"
    default = schema["default"]
    if default is None:
        return ""
    if default == str(SHIPPED_BUNDLE):
        return "the shipped one"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
