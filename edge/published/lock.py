"""The lock of a protocol version: what its messages hold, written down once and only ever added to.

`docs/schemas/v<n>.lock.json` has, per message and per part of one, each key with its JSON Schema and whether it must be there.
`changes` names what a version may not do: an existing client or a record in an old journal would be misread. Whatever is only
added is entered by `extended`, and locked from then on. Only a version that was never released may get a new file.
"""

from typing import Any

from edge.contracts.errors import LeukoError
from edge.contracts.messages import PROTOCOL_VERSION
from edge.published.directions import DIRECTIONS

LOCK = f"v{PROTOCOL_VERSION}.lock.json"

Lock = dict[str, dict[str, Any]]
"""Direction -> model -> `{"keys": {key: schema}, "required": [key]}` or `{"words": [word]}`."""


class LockError(LeukoError):
    """The models are not those of their protocol version any more."""

    code = "protocol_lock"


_PROSE = ("title", "description")


def described() -> Lock:
    """What the models hold now, in the form of the lock."""
    return {each.name: _models(each.adapter.json_schema(mode="serialization")) for each in DIRECTIONS}


def changes(lock: Lock, now: Lock) -> list[str]:
    """What the version of `lock` does not allow `now` to be, one clause each; none when all is well."""
    found = []
    for direction, models in lock.items():
        for name, locked in models.items():
            here = now.get(direction, {}).get(name)
            if here is None:
                found.append(f"{direction}: {name} is gone")
            elif "words" in locked:
                if locked != here:
                    found.append(f"{name}: its words were {locked['words']} and are {here.get('words')}")
            else:
                found += [f"{name}.{clause}" for clause in _changed_keys(locked, here)]
    return found + _new_types(lock, now)


def extended(lock: Lock, now: Lock) -> Lock:
    """`lock` with what `now` has added. Raises `LockError` with what the version does not allow."""
    if found := changes(lock, now):
        raise LockError(
            f"wire protocol {PROTOCOL_VERSION} does not allow this: {'; '.join(found)}; keep what was there and add keys that "
            "may be missing, or raise PROTOCOL_VERSION."
        )
    return now


def _changed_keys(locked: dict[str, Any], here: dict[str, Any]) -> list[str]:
    found = []
    for key, schema in locked["keys"].items():
        if key not in here["keys"]:
            found.append(f"{key} is gone")
        elif not _same(schema, here["keys"][key]):
            found.append(f"{key} was {schema} and is {here['keys'][key]}")
    found += [f"{key} was required and may be missing" for key in locked["required"] if key not in here["required"]]
    return found + [f"{key} is required and was not" for key in here["required"] if key not in locked["required"]]


def _same(locked: dict[str, Any], here: dict[str, Any]) -> bool:
    """Equal; only an open list of words, which any other text may stand beside, can have got longer."""
    if _open_words(locked) is not None and _open_words(here) is not None:
        return set(_open_words(locked) or ()) <= set(_open_words(here) or ())
    return bool(locked == here)


def _open_words(schema: dict[str, Any]) -> list[str] | None:
    match schema.get("anyOf"):
        case [{"enum": list(words)}, {"type": "string"}]:
            return words
    return None


def _new_types(lock: Lock, now: Lock) -> list[str]:
    """A client cannot read a record of a type that it does not know, and the edge may not skip it."""
    locked, here = (_types(each.get("from_edge", {})) for each in (lock, now))
    return [f"from_edge: {kind} is a new type" for kind in sorted(here - locked)] if locked else []


def _types(models: dict[str, Any]) -> set[str]:
    return {each["keys"]["type"]["const"] for each in models.values() if "const" in each.get("keys", {}).get("type", {})}


def _models(schema: dict[str, Any]) -> dict[str, Any]:
    parts = dict(schema.get("$defs", {}))
    if "properties" in schema:
        parts[schema["title"]] = schema
    return {name: _model(part) for name, part in parts.items()}


def _model(part: dict[str, Any]) -> dict[str, Any]:
    if "enum" in part:
        return {"words": part["enum"]}
    keys = {
        key: {fact: value for fact, value in schema.items() if fact not in _PROSE} for key, schema in part["properties"].items()
    }
    return {"keys": keys, "required": sorted(part.get("required", []))}
