"""What a REJECT says of the message that it answers, so that its sender knows what was not done."""

import json
from typing import Any, TypedDict

import msgpack

from edge.contracts.messages import RejectCode
from edge.stream.codec import MAX_TO_EDGE_BYTES

_LONGEST = 128
_LARGEST = 2**53 - 1


class Named(TypedDict, total=False):
    """Keys of REJECT."""

    refused_type: str | None
    cmd_id: str | None
    run_id: str | None
    upto_seq: int | None
    first_seq: int | None
    next_seq: int | None


class Refused(Exception):
    """A message that gets a REJECT; it has no other effect. `named` goes into the REJECT."""

    def __init__(self, code: RejectCode, reason: str, **named: int | str | None) -> None:
        super().__init__(reason)
        self.code: RejectCode = code
        self.reason = reason
        self.named = named


def named_by(parts: list[bytes]) -> Named:
    """What can be read of a message, whatever else is wrong with it: type, and which command or ACK it was. Never raises."""
    if len(parts) != 1 or len(parts[0]) > MAX_TO_EDGE_BYTES:
        return {}
    found = _map_in(parts[0])
    kind = _name(found.get("type"))
    if kind is None:
        return {}
    named: Named = {"refused_type": kind, "cmd_id": _name(found.get("cmd_id")), "run_id": _name(found.get("run_id"))}
    if kind == "HELLO" and isinstance(resume := found.get("resume"), dict):
        named["run_id"] = _name(resume.get("run_id"))
    upto = found.get("upto_seq")
    if kind == "ACK" and type(upto) is int and -1 <= upto <= _LARGEST:
        named["upto_seq"] = upto
    return named


def _map_in(data: bytes) -> dict[Any, Any]:
    try:
        found = json.loads(data) if data[:1] == b"{" else msgpack.unpackb(data)
    # see `codec`: hostile bytes end in any of these
    except (ValueError, TypeError, OverflowError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _name(value: object) -> str | None:
    """Names come back as they were sent, so one that no message could carry is left out."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    return value
