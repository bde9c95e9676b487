"""Bytes on the wire: one message is one ZeroMQ part, JSON or MessagePack, decoded into a typed model or refused.

MessagePack packs the very dictionary that JSON would hold (64-bit integers stay decimal strings), so a run is the same in both.
A JSON message begins with `{`, a MessagePack map never does: HELLO, WELCOME and REJECT can always be JSON without ambiguity.
"""

import json
from typing import TypeVar

import msgpack
from pydantic import TypeAdapter, ValidationError

from leukostream.edge.contracts.base import Wire, explain
from leukostream.edge.contracts.errors import StreamError
from leukostream.edge.contracts.messages import FROM_EDGE, TO_EDGE, Encoding, FromEdge, RejectCode, ToEdge

MAX_TO_EDGE_BYTES = 64 * 1024
"""A command is a few hundred bytes."""

MAX_FROM_EDGE_BYTES = 16 * 1024 * 1024
"""A field with 256 cells is about 100 kB."""

_AnyMessage = TypeVar("_AnyMessage")


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
    return _decode(TO_EDGE, data, MAX_TO_EDGE_BYTES)


def decode_from_edge(data: bytes) -> FromEdge:
    """What the edge sent. Raises `MessageError`."""
    return _decode(FROM_EDGE, data, MAX_FROM_EDGE_BYTES)


def _decode(adapter: TypeAdapter[_AnyMessage], data: bytes, limit_bytes: int) -> _AnyMessage:
    if len(data) > limit_bytes:
        raise MessageError("too_large", f"a message of {len(data)} bytes came, the limit is {limit_bytes}; send smaller ones.")
    try:
        if data[:1] == b"{":
            return adapter.validate_json(data)
        return adapter.validate_python(_unpack(data))
    except ValidationError as problem:
        if any(fault["type"] == "union_tag_invalid" for fault in problem.errors(include_url=False)):
            raise MessageError(
                "unknown_type", f"the message's `type` is not known here: {_clip(explain(problem))}."
            ) from problem
        raise MessageError(
            "malformed", f"the message does not hold what its type asks for: {_clip(explain(problem))}; correct the sender."
        ) from problem


def _clip(complaint: str) -> str:
    """Complaints quote the input; a refusal must stay small whatever came in."""
    return complaint if len(complaint) <= 400 else complaint[:400] + " ..."


def _unpack(data: bytes) -> dict[str, object]:
    try:
        value = msgpack.unpackb(data)
    # unpackb documents ValueError for bad bytes; a hostile map key or timestamp can also end in the other two.
    except (ValueError, TypeError, OverflowError) as problem:
        raise MessageError(
            "malformed",
            f"a message of {len(data)} bytes is neither a JSON object nor a MessagePack map; send one of the two, in one part.",
        ) from problem
    if not isinstance(value, dict):
        raise MessageError("malformed", f"a MessagePack {type(value).__name__} came where a map with a `type` is due.")
    return value
