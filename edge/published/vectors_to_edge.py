"""Golden vectors of what a client sends: at least one of every type, with values at the ends of their ranges.

Then vectors that an edge must refuse, each with the code of the REJECT that it sends.
"""

import json
from dataclasses import dataclass
from typing import Any

import msgpack

from edge.contracts.base import Wire
from edge.contracts.messages import (
    PROTOCOL_VERSION,
    AbortCommand,
    Ack,
    ContinueCommand,
    Hello,
    PauseCommand,
    Ping,
    Pong,
    Query,
    RejectCode,
    Resume,
    RunStartCommand,
    RunStopCommand,
    TriggerCommand,
)
from edge.contracts.records import StagePosition
from edge.contracts.run_order import RunOrder
from edge.published.vector_parts import (
    BEYOND_DOUBLES,
    BOOT,
    EARLIER_RUN,
    LARGEST_COUNT,
    LARGEST_INT64,
    ORDER,
    RUN,
    SLIDE,
    SMALLEST_INT64,
)
from edge.stream.codec import MAX_TO_EDGE_BYTES

TO_EDGE_VECTORS: dict[str, Wire] = {
    "hello": Hello(client_id="scanner-1", encodings=("msgpack", "json")),
    "hello_resume": Hello(client_id="scanner-1", encodings=("json",), resume=Resume(run_id=RUN, next_seq=3)),
    "hello_numbered": Hello(
        client_id="scanner-1",
        encodings=("json",),
        resume=Resume(run_id=RUN, next_seq=3, boot_id=BOOT),
        attempt=1_893_553_445_123_456_789,
    ),
    "hello_attempt_extreme": Hello(client_id="scanner-1", encodings=("json",), attempt=LARGEST_INT64),
    "hello_observer": Hello(client_id="Beobachter-ü", role="observer", encodings=("cbor", "json")),
    "run_start": RunStartCommand(cmd_id="1", run_id=RUN, slide_id=SLIDE, sample_id="0815", max_fields=200),
    "run_start_least": RunStartCommand(cmd_id="1", run_id=RUN),
    "run_start_continues": RunStartCommand(
        cmd_id="c" * 128, run_id=RUN, slide_id="ü" * 128, continues_run_id=EARLIER_RUN, max_fields=LARGEST_COUNT
    ),
    "run_start_order": RunStartCommand(cmd_id="1", run_id=RUN, order=ORDER),
    "run_start_order_least": RunStartCommand(cmd_id="1", run_id=RUN, order=RunOrder()),
    "run_start_profile": RunStartCommand(cmd_id="1", run_id=RUN, profile="Ölimmersion 100x"),
    "trigger": TriggerCommand(
        cmd_id="2", run_id=RUN, trigger_id="t-0", field_index=0, stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000)
    ),
    "trigger_extreme": TriggerCommand(
        cmd_id="2",
        run_id=RUN,
        trigger_id="t-9007199254740991",
        field_index=LARGEST_COUNT,
        stage=StagePosition(x_nm=SMALLEST_INT64, y_nm=BEYOND_DOUBLES),
    ),
    "trigger_without_stage": TriggerCommand(cmd_id="2", run_id=RUN, trigger_id="t-1", field_index=1),
    "trigger_replaces": TriggerCommand(
        cmd_id="6",
        run_id=RUN,
        trigger_id="t-0 anew",
        field_index=2,
        stage=StagePosition(x_nm=12_500_000, y_nm=-3_000_000, z_nm=SMALLEST_INT64),
        replaces="t-0",
    ),
    "run_stop": RunStopCommand(cmd_id="3", run_id=RUN),
    "pause": PauseCommand(cmd_id="7", run_id=RUN),
    "continue": ContinueCommand(cmd_id="8", run_id=RUN),
    "abort": AbortCommand(cmd_id="9", run_id=RUN),
    "query": Query(cmd_id="4"),
    "query_one_run": Query(cmd_id="5", run_id=RUN),
    "query_page": Query(cmd_id="6", from_run=64),
    "query_asks": Query(cmd_id="7", ask=("health", "doctor", "words of a later version")),
    "ack": Ack(run_id=RUN, upto_seq=130, send_until_seq=195),
    "ack_nothing_yet": Ack(run_id=RUN, upto_seq=-1, send_until_seq=64),
    "ack_extreme": Ack(run_id=RUN, upto_seq=LARGEST_COUNT, send_until_seq=LARGEST_COUNT),
    "ping": Ping(nonce=7, t_ns=81_234_567_890_123),
    "ping_extreme": Ping(nonce=LARGEST_INT64, t_ns=SMALLEST_INT64),
    "pong": Pong(nonce=BEYOND_DOUBLES, t_ns=0),
}
"""Message per file name; the first of a type is the ordinary one."""


@dataclass(frozen=True)
class Refused:
    """The part that is sent, in one encoding or in both, the code that it gets, and what is wrong with it."""

    code: RejectCode
    why: str
    json: bytes | None
    msgpack: bytes | None


def _document(code: RejectCode, why: str, document: object) -> Refused:
    """What both encodings can hold."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Refused(code, why, text.encode(), msgpack.packb(document))


def _json(code: RejectCode, why: str, part: bytes) -> Refused:
    return Refused(code, why, part, None)


def _msgpack(code: RejectCode, why: str, part: bytes) -> Refused:
    return Refused(code, why, None, part)


def _ack(**changed: object) -> dict[str, Any]:
    return {"type": "ACK", "run_id": "r", "upto_seq": 1, "send_until_seq": 2} | changed


def _hello(**changed: object) -> dict[str, Any]:
    return {"type": "HELLO", "client_id": "c"} | changed


def _run_start(**changed: object) -> dict[str, Any]:
    return {"type": "RUN_START", "cmd_id": "1", "run_id": "r"} | changed


def _ping(nonce: object) -> dict[str, Any]:
    return {"type": "PING", "nonce": nonce, "t_ns": "1"}


_QUERY: dict[Any, Any] = {"type": "QUERY", "cmd_id": "1"}
_PACKED = msgpack.packb(_QUERY)
_MAP_OF_THREE = b"\x83" + _PACKED[1:]
"""The same with room for one more key and value."""
_NESTED = 1000

REFUSED: dict[str, Refused] = {
    "unknown_type": _document("unknown_type", "no such type", {"type": "HELO", "client_id": "scanner-1"}),
    "type_of_the_other_direction": _document("unknown_type", "only the edge sends it", {"type": "ACCEPTED", "cmd_id": "1"}),
    "type_in_lower_case": _document("unknown_type", "types are compared exactly", {"type": "query", "cmd_id": "1"}),
    "type_is_a_number": _document("unknown_type", "`type` is a number", {"type": 5, "cmd_id": "1"}),
    "type_is_missing": _document("malformed", "without `type`", {"cmd_id": "1"}),
    "key_is_missing": _document("malformed", "`send_until_seq` is missing", {"type": "ACK", "run_id": "r", "upto_seq": 1}),
    "key_in_upper_case": _document("malformed", "keys are compared exactly", {"type": "QUERY", "CMD_ID": "1"}),
    "null_where_a_value_is_due": _document("malformed", "`run_id` is null", _ack(run_id=None)),
    "number_where_text_is_due": _document("malformed", "`cmd_id` is a number", {"type": "QUERY", "cmd_id": 1}),
    "text_where_a_number_is_due": _document("malformed", "`upto_seq` is text", _ack(upto_seq="1")),
    "boolean_where_a_number_is_due": _document("malformed", "`upto_seq` is true", _ack(upto_seq=True)),
    "fraction_where_an_integer_is_due": _document("malformed", "`upto_seq` is written 1.0", _ack(upto_seq=1.0)),
    "list_where_an_object_is_due": _document("malformed", "`resume` is a list", _hello(resume=[])),
    "name_is_empty": _document("malformed", "a name has at least one character", {"type": "QUERY", "cmd_id": ""}),
    "name_is_too_long": _document("malformed", "a name has at most 128 characters", {"type": "QUERY", "cmd_id": "ü" * 129}),
    "seq_below_the_range": _document("malformed", "`upto_seq` is -1 or more", _ack(upto_seq=-2)),
    "count_above_the_range": _document("malformed", "2^53", _ack(send_until_seq=LARGEST_COUNT + 1)),
    "int64_above_the_range": _document("malformed", "2^63", _ping(str(LARGEST_INT64 + 1))),
    "int64_below_the_range": _document("malformed", "-2^63 - 1", _ping(str(-LARGEST_INT64 - 2))),
    "int64_as_a_number": _document("malformed", "64-bit integers are decimal strings", _ping(7)),
    "int64_with_a_plus": _document("malformed", "only decimal digits, after a minus at most", _ping("+7")),
    "int64_in_other_digits": _document("malformed", "only the digits 0 to 9", _ping("\u0667")),
    "unknown_role": _document("malformed", "neither controller nor observer", _hello(role="spy")),
    "another_version": _document("protocol", "a version that this edge does not speak", _hello(proto=PROTOCOL_VERSION + 1)),
    "another_version_without_a_name": _document(
        "protocol", "nothing but its version is read", {"type": "HELLO", "proto": PROTOCOL_VERSION + 1}
    ),
    "order_target_is_text": _document(
        "malformed", "`target_leukocytes` is text", _run_start(order={"target_leukocytes": "200"})
    ),
    "profile_is_empty": _document("malformed", "a name has at least one character", _run_start(profile="")),
    "profile_is_an_object": _document("malformed", "`profile` is an object", _run_start(profile={"name": "low"})),
    "order_is_a_list": _document("malformed", "`order` is a list", _run_start(order=[])),
    "attempt_as_a_number": _document("malformed", "64-bit integers are decimal strings", _hello(attempt=7)),
    "another_version_with_other_keys": _document(
        "protocol", "the version is refused, not what nobody here can judge", _hello(proto=PROTOCOL_VERSION + 1, resume="later")
    ),
    "no_common_encoding": _document("encoding", "neither json nor msgpack is offered", _hello(encodings=["cbor"])),
    "empty": _json("malformed", "a part of no bytes", b""),
    "json_truncated": _json("malformed", "it ends in the middle", b'{"type":"QUERY","cmd_id":"1"'),
    "json_array": _json("malformed", "no object", b'["QUERY","1"]'),
    "json_after_white_space": _json("malformed", "a JSON message begins with `{`", b' {"type":"QUERY","cmd_id":"1"}'),
    "json_twice": _json("malformed", "one message is one part", b'{"type":"QUERY","cmd_id":"1"}{"type":"QUERY","cmd_id":"2"}'),
    "json_trailing_comma": _json("malformed", "no JSON", b'{"type":"QUERY","cmd_id":"1",}'),
    "json_single_quotes": _json("malformed", "no JSON", b"{'type':'QUERY','cmd_id':'1'}"),
    "json_latin_1": _json("malformed", "no UTF-8", '{"type":"QUERY","cmd_id":"ü"}'.encode("latin-1")),
    "json_half_a_surrogate_pair": _json("malformed", "no character", rb'{"type":"QUERY","cmd_id":"\ud83e"}'),
    "json_raw_line_end_in_text": _json("malformed", "no JSON", b'{"type":"QUERY","cmd_id":"1\n"}'),
    "json_nan": _json("malformed", "no JSON, not even in a key that is ignored", b'{"type":"QUERY","cmd_id":"1","later":NaN}'),
    "json_infinity": _json("malformed", "no JSON", b'{"type":"QUERY","cmd_id":"1","later":-Infinity}'),
    "json_key_twice": _json("malformed", "which one holds?", b'{"type":"QUERY","cmd_id":"1","cmd_id":"2"}'),
    "json_unknown_key_twice": _json("malformed", "which one holds?", b'{"type":"QUERY","cmd_id":"1","later":{"a":1,"a":1}}'),
    "json_nested": _json(
        "malformed",
        f"nested {_NESTED} deep",
        b'{"type":"QUERY","cmd_id":"1","later":' + b"[" * _NESTED + b"]" * _NESTED + b"}",
    ),
    "msgpack_truncated": _msgpack("malformed", "it ends in the middle", _PACKED[:-1]),
    "msgpack_with_a_tail": _msgpack("malformed", "one message is one part", _PACKED + b"\xc0"),
    "msgpack_array": _msgpack("malformed", "no map", msgpack.packb(["QUERY", "1"])),
    "msgpack_number": _msgpack("malformed", "no map", msgpack.packb(5)),
    "msgpack_never_used_byte": _msgpack("malformed", "0xc1", b"\xc1"),
    "msgpack_binary_text": _msgpack("malformed", "text is of type str, not bin", msgpack.packb({**_QUERY, "cmd_id": b"1"})),
    "msgpack_binary_key": _msgpack("malformed", "keys are of type str", msgpack.packb({**_QUERY, b"later": 1})),
    "msgpack_number_as_key": _msgpack("malformed", "keys are of type str", msgpack.packb({**_QUERY, 1: 1})),
    "msgpack_latin_1": _msgpack("malformed", "no UTF-8", _PACKED[:-1] + b"\xfc"),
    "msgpack_nan": _msgpack("malformed", "nothing that JSON can hold", msgpack.packb({**_QUERY, "later": float("nan")})),
    "msgpack_timestamp": _msgpack(
        "malformed", "nothing that JSON can hold", msgpack.packb({**_QUERY, "later": msgpack.Timestamp(1)})
    ),
    "msgpack_key_twice": _msgpack("malformed", "which one holds?", _MAP_OF_THREE + b"\xa6cmd_id\xa12"),
    "msgpack_nested": _msgpack(
        "malformed",
        f"nested {_NESTED} deep",
        _MAP_OF_THREE + b"\xa5later" + b"\x91" * _NESTED + b"\xc0",
    ),
    "too_large": _json(
        "too_large",
        f"more than {MAX_TO_EDGE_BYTES} bytes",
        b'{"type":"QUERY","cmd_id":"1","later":"' + b"x" * MAX_TO_EDGE_BYTES + b'"}',
    ),
}
"""Vector per file name."""
