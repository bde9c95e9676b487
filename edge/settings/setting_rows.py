"""Every setting in words, for a page, a commented file or a table: made from the model that states them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge.settings.edge_settings import PARTED, SHIPPED_BUNDLE, EdgeSettings, Panel, panel_of
from edge.settings.environment import variable_of

OF_THE_BUNDLE = "the bundle's"
SHIPPED = "the shipped one"
_TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "object": "by name"}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting, or one part of one that holds several. `choices` is empty unless the value is one of some words.

    `default` is the value itself; None where there is none, and where it is not the model's (`default_text`).
    """

    name: str
    part: str | None
    option: str
    value: str
    choices: tuple[str, ...]
    default: object
    default_text: str
    description: str

    @property
    def variable(self) -> str:
        """What states it in the environment."""
        return variable_of(self.name, self.part)


def setting_rows() -> Iterator[SettingRow]:
    """In the order of the model."""
    described = EdgeSettings.model_json_schema()["properties"]
    for name, field in EdgeSettings.model_fields.items():
        panel = panel_of(field)
        if panel is not None and panel.parts:
            yield from _parts(name, panel)
            continue
        schema = described[name]
        value, choices = _value(schema)
        default, text = _default(schema)
        yield SettingRow(name, None, _option(name) if panel else "", value, choices, default, text, field.description or "")


def _parts(name: str, panel: Panel) -> Iterator[SettingRow]:
    for part, schema in PARTED[name].model_json_schema()["properties"].items():
        option = _option(part) if part in panel.parts else ""
        value, choices = _value(schema)
        default, text = (None, OF_THE_BUNDLE) if name == "thresholds" else _default(schema)
        yield SettingRow(name, part, option, value, choices, default or None, text, schema.get("description", ""))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _value(schema: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Type and limits, or the words to choose from, of the one that is not null where that is a choice."""
    one = next((each for each in schema.get("anyOf", []) if each.get("type") != "null"), schema)
    if "enum" in one:
        return "", tuple(one["enum"])
    words = "path" if one.get("format") == "path" else _TYPES.get(one.get("type", "object"), "text")
    return ", ".join([words, *_limits(one)]), ()


def _limits(schema: dict[str, Any]) -> Iterator[str]:
    if "minimum" in schema and "maximum" in schema:
        yield f"{schema['minimum']:g} to {schema['maximum']:g}"
        return
    for key, word in (("exclusiveMinimum", "over"), ("minimum", "at least"), ("maximum", "at most")):
        if key in schema:
            yield f"{word} {schema[key]:g}"


def _default(schema: dict[str, Any]) -> tuple[object, str]:
    if "default" not in schema:
        return None, "must be set"
    default = schema["default"]
    if default is None:
        return None, ""
    if default == str(SHIPPED_BUNDLE):
        return None, SHIPPED
    return default, str(default).lower() if isinstance(default, bool) else str(default)
