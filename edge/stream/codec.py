"""Bytes on the wire: one message is one ZeroMQ part, JSON or MessagePack, decoded into a typed model or refused.

MessagePack packs the very dictionary that JSON would hold (64-bit integers stay decimal strings), so a run is the same in both.
A JSON message begins with `{`, a MessagePack map never does: HELLO, WELCOME and REJECT can always be JSON without ambiguity.

Reading is strict: no NaN, nothing converted (`true` or `"5"` is no integer), and of what a client sends no key twice. Each is a
sender's mistake that would go on unnoticed. MessagePack is held to the same rules by being checked as the JSON it stands for.
"""

import json
from collections.abc import Sequence
from typing import Literal, NoReturn, TypeVar

import msgpack
from pydantic import TypeAdapter, ValidationError

from edge.contracts.base import Count, Wire, explain
from edge.contracts.errors import StreamError
from edge.contracts.messages import (
    FROM_EDGE,
    PROTOCOL_VERSION,
    TELEMETRY,
    TO_EDGE,
    AnyHello,
    Encoding,
    FromEdge,
    Hello,
    Live,
    RejectCode,
    ToEdge,
)

MAX_TO_EDGE_BYTES = 64 * 1024
"""A command is a few hundred bytes."""

MAX_FROM_EDGE_BYTES = 16 * 1024 * 1024
"""A field with 256 cells is about 100 kB."""

_AnyMessage = TypeVar("_AnyMessage")


class _HelloOfAnyVersion(Wire):
    """What is read of a HELLO before anything else of it."""

    type: Literal["HELLO"]
    proto: Count


class MessageError(StreamError):
    """A message that cannot be used; `reject` is the code its sender is told."""

    def __init__(self, reject: RejectCode, sentence: str) -> None:
        super().__init__(sentence)
        self.reject: RejectCode = reject


def encode(message: Wire, encoding: Encoding) -> bytes:
    """One message as one part, `type` first."""
    if encoding == "json":
        return message.model_dump_json().encode()
    packed: bytes = msgpack.packb(message.model_dump(mode="json"))
    return packed


def from_journal(record_json: bytes, encoding: Encoding) -> bytes:
    """A journalled record, which is JSON, in the session's encoding."""
    if encoding == "json":
        return record_json
    packed: bytes = msgpack.packb(json.loads(record_json))
    return packed


def decode_to_edge(data: bytes) -> ToEdge:
    """What a client sent. Raises `MessageError`."""
    try:
        return _decode(TO_EDGE, data, MAX_TO_EDGE_BYTES, each_key_once=True)
    except MessageError as problem:
        hello = _hello_of_another_version(data) if problem.reject == "malformed" else None
        if hello is None:
            raise
        return hello


def decode_from_edge(data: bytes) -> FromEdge:
    """What the edge sent. Raises `MessageError`."""
    return _decode(FROM_EDGE, data, MAX_FROM_EDGE_BYTES, each_key_once=False)


def decode_telemetry(data: bytes) -> Live:
    """What the telemetry socket published. Raises `MessageError`."""
    return _decode(TELEMETRY, data, MAX_FROM_EDGE_BYTES, each_key_once=False)


def _decode(adapter: TypeAdapter[_AnyMessage], data: bytes, limit_bytes: int, each_key_once: bool) -> _AnyMessage:
    if len(data) > limit_bytes:
        raise MessageError("too_large", f"a message of {len(data)} bytes came, the limit is {limit_bytes}; send smaller ones.")
    is_json = data[:1] == b"{"
    try:
        # Parsed from JSON in any case: nesting is limited there, and a list is an array here and a string never an integer.
        message = adapter.validate_json(data if is_json else _as_json(data), strict=True)
    except ValidationError as problem:
        for fault in problem.errors(include_url=False):
            if fault["type"] == "union_tag_invalid":
                tag, known = _clip(str(fault["ctx"]["tag"])), fault["ctx"]["expected_tags"].replace("'", "")
                sentence = f"the `type` {tag!r} is not known here; known are {known}, each written exactly so."
                raise MessageError("unknown_type", sentence) from problem
        raise MessageError(
            "malformed", f"the message does not hold what its type asks for: {_clip(explain(problem))}; correct the sender."
        ) from problem
    if is_json and each_key_once:
        # pydantic takes the last of two equal keys, and NaN where it ignores a key; json shows both. Of what the edge sends
        # nobody needs it, and it would take twice as long as the rest.
        json.loads(data, object_pairs_hook=_each_key_once, parse_constant=_no_number, parse_int=str, parse_float=str)
    return message


def _hello_of_another_version(data: bytes) -> Hello | None:
    """Its sender is to be told about the version, and not about a key that means something else over there."""
    try:
        text = data if data[:1] == b"{" else _as_json(data)
        proto = _HelloOfAnyVersion.model_validate_json(text, strict=True).proto
    except (ValidationError, MessageError):
        return None
    if proto == PROTOCOL_VERSION:
        return None
    try:
        return Hello(**AnyHello.model_validate_json(text, strict=True).model_dump())
    except ValidationError as problem:
        raise MessageError("protocol", other_version(proto)) from problem


def other_version(proto: int) -> str:
    """What a client of another version is told."""
    return (
        f"this edge speaks wire protocol {PROTOCOL_VERSION} and the client asked for {proto}; "
        f"use a client for protocol {PROTOCOL_VERSION}, or an edge for protocol {proto}."
    )


def _clip(complaint: str) -> str:
    """Complaints quote the input; a refusal must stay small and one line whatever came in."""
    line = complaint[:400]
    if not line.isprintable():
        line = "".join(each if each.isprintable() else "?" for each in line)
    return line if len(complaint) <= 400 else line + " ..."


def _as_json(data: bytes) -> str:
    """The JSON that a MessagePack map stands for."""
    try:
        value = msgpack.unpackb(data, object_pairs_hook=_each_key_once)
        if isinstance(value, dict):
            return json.dumps(value, allow_nan=False)
    # unpackb documents ValueError for bad bytes; a hostile key or timestamp can also end in TypeError or OverflowError, as what
    # JSON does not have (binary data, NaN) and what is nested too deep end in ValueError, TypeError or RecursionError of json.
    except (ValueError, TypeError, OverflowError, RecursionError) as problem:
        raise MessageError(
            "malformed",
            f"a message of {len(data)} bytes is neither a JSON object nor a MessagePack map of what JSON can hold; "
            "send one of the two, in one part.",
        ) from problem
    raise MessageError("malformed", f"a MessagePack {type(value).__name__} came where a map with a `type` is due.")


def _each_key_once(pairs: Sequence[tuple[object, object]]) -> dict[str, object]:
    """An object's keys and values. JSON leaves open which of two equal keys holds, so neither does."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if not isinstance(key, str):
            raise MessageError(
                "malformed", f"a MessagePack map has a key that is no string ({type(key).__name__}); send strings."
            )
        if key in found:
            raise MessageError("malformed", f"the key `{_clip(key)}` comes twice in one object; send it once.")
        found[key] = value
    return found


def _no_number(word: str) -> NoReturn:
    raise MessageError("malformed", f"`{word}` is no JSON; send null, or leave the key out.")
