"""TOML as people write it: one sentence for what is none, with the line, and a value in the spelling that TOML has for it."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from edge.contracts.errors import LeukoError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def parse_toml(text: str, where: str, error: type[LeukoError]) -> dict[str, Any]:
    """The content of `text`, which is that of the file that `where` names; a key that is given twice is refused by TOML itself.

    Raises `error` with one sentence where it is not TOML.
    """
    try:
        content: dict[str, Any] = tomllib.loads(text)
        return content
    except tomllib.TOMLDecodeError as problem:
        hint = "; YAML is read from a file whose name ends in .yaml" if _looks_like_yaml(text) else ""
        raise error(f"{where} is not valid TOML ({_said(problem)}); correct it{hint}.") from problem
    except (ValueError, RecursionError) as problem:
        # A number too long to be read, a nesting without end.
        raise error(f"{where} holds a value that cannot be read ({problem}); correct it, or write it in quotes.") from problem


def toml_value(value: object) -> str:
    """`value` as it stands behind `key = `: text, number, truth, list, or names with values of these. Raises TypeError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else _quoted(name)


def _quoted(text: str) -> str:
    """As JSON, which TOML reads, but for the one character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _said(problem: Exception) -> str:
    first = str(problem).splitlines()[0]
    return f"{first[:1].lower()}{first[1:]}"


def _looks_like_yaml(text: str) -> bool:
    """Whether the first line that says anything is `key: value`."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return ":" in first and "=" not in first.partition(":")[0]
