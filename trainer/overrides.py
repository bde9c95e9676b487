"""Nested settings: one value by its dotted key, one mapping over another, and what an unknown key may have meant."""

import copy
from collections.abc import Callable, Collection, Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.contracts.base import complaint_of
from edge.contracts.errors import ConfigError
from edge.files import parse_yaml


def parse_assignment(text: str) -> tuple[str, Any]:
    """`phases.0.steps=100` -> ("phases.0.steps", 100); values are YAML. Raises `ConfigError` when it is no assignment."""
    key, equals, value = text.partition("=")
    if equals and key.strip():
        return key.strip(), parse_yaml(value, f"the value in --set {text!r}", ConfigError)
    raise ConfigError(f"--set {text!r} is not KEY=VALUE; write for example --set phases.0.steps=100.")


def with_value(content: dict[str, Any], key: str, value: object) -> dict[str, Any]:
    """A copy of `content` with `value` at the dotted `key`; mappings on the way are made. Raises `ConfigError` for a place
    that is not there."""
    result = copy.deepcopy(content)
    at: Any = result
    names = key.split(".")
    for depth, name in enumerate(names):
        here = ".".join(names[:depth])
        place: str | int = name
        if isinstance(at, list):
            if not name.isdigit() or int(name) >= len(at):
                raise ConfigError(f"`{key}` names no entry: `{here}` has the entries 0 to {len(at) - 1}.")
            place = int(name)
        elif not isinstance(at, dict):
            raise ConfigError(f"`{key}` names nothing: `{here}` is a single value.")
        if depth == len(names) - 1:
            at[place] = value
        elif isinstance(at, dict):
            at = at.setdefault(place, {})
        else:
            at = at[place]
    return result


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping. A mapping that states another `name` (another optimiser) replaces the old one
    as a whole: their keys have nothing in common."""
    result = dict(base)
    for key, value in over.items():
        old = base.get(key)
        same_kind = isinstance(value, dict) and isinstance(old, dict) and value.get("name", old.get("name")) == old.get("name")
        result[key] = merged(old, value) if same_kind and isinstance(old, dict) else value
    return result


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """All dotted keys of a settings model; an entry of a list is numbered 0."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for inner, listed in _models(field.annotation):
            yield from known_keys(inner, f"{prefix}{name}.{'0.' if listed else ''}")


def complaint(problem: ValidationError, model: type[BaseModel], content: object) -> str:
    """The first few faults in one sentence: dotted key, what is wrong, and for an unknown key the nearest known one.

    `content` is what was validated: by it a key is told from the words that pydantic puts between keys.
    """
    known = set(known_keys(model))
    found: dict[str, list[str]] = {}
    for fault in problem.errors():
        key = _key(fault["loc"], content, fault["type"] == "missing")
        said = found.setdefault(key, [])
        if (what := _what(fault, known, key)) not in said:
            said.append(what)
    # What is wrong inside of a key is all that is wrong with it: pydantic also finds fault with what is left of it.
    shown = {key: said for key, said in found.items() if not any(other.startswith(f"{key}.") for other in found if key)}
    parts = [_part(key, said) for key, said in list(shown.items())[:SHOWN]]
    more = len(shown) - len(parts)
    return "; ".join(parts) + (f" (and {more} more)" if more > 0 else "")


SHOWN = 3

NUMBER, WHOLE, TEXT, LIST, TABLE = "a number", "a whole number", "a text", "a list", "lines of `key: value`"
WANTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), WHOLE),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), NUMBER),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), LIST),
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), TABLE),
    "string_type": TEXT,
}
BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "too_short": ("min_length", "a list with a length of at least"),
}


OWN_WORDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda said: "is missing",
    "value_error": lambda said: f": {said['error']}",
    "union_tag_not_found": lambda said: f"lacks {said['discriminator']}",
    "union_tag_invalid": lambda said: f"has the {said['discriminator']} {said['tag']!r}; use {said['expected_tags']}",
    "invalid_key": lambda said: "is a key that is no text; write it in quotes",
    "literal_error": lambda said: str(said["expected"]),
}
SENTENCES = (":", "is ", "has ", "lacks ")
"""How those begin that do not go on after "must be"."""


def _what(fault: ErrorDetails, known: set[str], key: str) -> str:
    """What is wrong with a key; what it must be, where it begins with none of `SENTENCES`."""
    kind, said = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return f"is not a known key{_near_key(key, known)}"
    if kind in OWN_WORDS:
        return OWN_WORDS[kind](said)
    if kind in BOUNDS:
        bound, words = BOUNDS[kind]
        return f"{words} {said[bound]:g}"
    return WANTED.get(kind) or f": {complaint_of(fault['msg'])}"


def _part(key: str, said: list[str]) -> str:
    name = f"`{key}`" if key else "the document"
    for one in said:
        if one.startswith(":"):
            return f"{name}{one}" if key else one[2:]
        if one.startswith(SENTENCES):
            return f"{name} {one}"
    return f"{name} must be {' or '.join(said)}"


def near_miss(text: str, choices: Collection[str]) -> str:
    """` (did you mean ...?)`, or nothing when no choice is like `text`."""
    close = get_close_matches(text, sorted(choices), 1, 0.7)
    return f" (did you mean `{close[0]}`?)" if close else ""


def _near_key(key: str, known: set[str]) -> str:
    """The same for dotted keys: the whole key may be misspelt, or its last name may be right and its place wrong."""
    numbered = ".".join("0" if part.isdigit() else part for part in key.split("."))
    leaves = {one.rsplit(".", 1)[-1]: one for one in sorted(known, reverse=True)}
    leaf = get_close_matches(numbered.rsplit(".", 1)[-1], leaves, 1, 0.7)
    return near_miss(numbered, known) or (f" (did you mean `{leaves[leaf[0]]}`?)" if leaf else "")


def _key(location: tuple[int | str, ...], content: object, missing: bool) -> str:
    """A dotted key as a user wrote it, or should have (`missing`): pydantic puts the kinds of a union's members and [key]
    into a location."""
    shown: list[str] = []
    at = content
    for depth, part in enumerate(location):
        if isinstance(at, dict) and (part in at or str(part) in map(str, at)):
            shown.append(str(part))
            at = at.get(part)
        elif isinstance(at, list | tuple) and isinstance(part, int) and part < len(at):
            shown.append(str(part))
            at = at[part]
        elif missing and depth == len(location) - 1:
            shown.append(str(part))
    return ".".join(shown)


def _models(annotation: object, listed: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
    for inner in get_args(annotation):
        yield from _models(inner, listed or get_origin(annotation) in {tuple, list})
