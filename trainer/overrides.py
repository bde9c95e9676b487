"""Nested settings: one value by its dotted key, one mapping over another, and what an unknown key may have meant."""

import copy
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

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


def complaint(problem: ValidationError, model: type[BaseModel]) -> str:
    """The first few faults in one sentence: dotted key, what is wrong, and for an unknown key the nearest known one."""
    known = set(known_keys(model))
    parts = []
    for fault in problem.errors()[:3]:
        key = _key(fault["loc"], known)
        if fault["type"] == "extra_forbidden":
            parts.append(f"`{key}` is not a known key{_near_key(key, known)}")
        elif fault["type"] == "value_error":
            parts.append(str(fault["ctx"]["error"]))
        else:
            parts.append(f"`{key}`: {complaint_of(fault['msg'])}")
    more = problem.error_count() - len(parts)
    return "; ".join(parts) + (f" (and {more} more)" if more > 0 else "")


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


def _key(location: tuple[int | str, ...], known: set[str]) -> str:
    """pydantic puts the kind of a union's member into a location; a user wrote no such key."""
    shown: list[str] = []
    generic: list[str] = []
    for depth, part in enumerate(location):
        step = "0" if isinstance(part, int) else part
        last = depth == len(location) - 1
        if last or isinstance(part, int) or ".".join([*generic, step]) in known:
            shown.append(str(part))
            generic.append(step)
    return ".".join(shown) or "the document"


def _models(annotation: object, listed: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
    for inner in get_args(annotation):
        yield from _models(inner, listed or get_origin(annotation) in {tuple, list})
