"""Bytes in, bytes out: whatever a peer sends is a typed message or a `MessageError`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_run import field_record, run_start, run_stop

from edge.contracts import messages as m
from edge.contracts.base import Wire
from edge.contracts.records import Advice, Event, FieldStatus, StagePosition
from edge.stream import codec

pytestmark = pytest.mark.timeout(30)

name = st.text(min_size=1, max_size=20)
count = st.integers(0, 2**53 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)
run_infos = st.lists(
    st.builds(
        m.RunInfo, run_id=name, next_seq=count, finished=st.booleans(), open_trigger_ids=st.lists(name, max_size=3).map(tuple)
    ),
    max_size=2,
).map(tuple)
TO_EDGE = st.one_of(
    st.builds(
        m.Hello,
        encodings=st.lists(name, max_size=3).map(tuple),
        client_id=name,
        role=st.sampled_from(["controller", "observer"]),
        resume=st.none() | st.builds(m.Resume, run_id=name, next_seq=count),
    ),
    st.builds(m.RunStartCommand, cmd_id=name, run_id=name, slide_id=st.none() | name, max_fields=st.none() | count),
    st.builds(
        m.TriggerCommand,
        cmd_id=name,
        run_id=name,
        trigger_id=name,
        field_index=count,
        stage=st.none() | st.builds(StagePosition, x_nm=int64, y_nm=int64),
    ),
    st.builds(m.RunStopCommand, cmd_id=name, run_id=name),
    st.builds(m.Query, cmd_id=name, run_id=st.none() | name),
    st.builds(m.Ack, run_id=name, upto_seq=st.integers(-1, 2**53 - 1), send_until_seq=count),
    st.builds(m.Ping, nonce=int64, t_ns=int64),
    st.builds(m.Pong, nonce=int64, t_ns=int64),
)
FROM_EDGE = st.one_of(
    st.builds(
        m.Welcome,
        encoding=st.sampled_from(["json", "msgpack"]),
        boot_id=name,
        server_version=name,
        role=st.just("observer"),
        runs=run_infos,
    ),
    st.builds(m.State, cmd_id=name, runs=run_infos, fields=st.dictionaries(st.sampled_from(list(FieldStatus)), count)),
    st.builds(m.Credit, run_id=name, trigger_until=count),
    st.builds(m.Rejected, cmd_id=name, code=st.sampled_from(["credit", "state"]), reason=name),
    st.builds(m.Ping, nonce=int64, t_ns=int64),
    st.builds(run_start, st.just("r")),
    st.builds(m.Reject, code=st.sampled_from(["busy", "protocol"]), reason=name),
    st.builds(m.Accepted, cmd_id=name, trigger_until=st.none() | count),
    st.builds(m.Pong, nonce=int64, t_ns=int64, lag=st.none() | count, last_seq=st.none() | count),
    st.builds(Event, run_id=name, seq=count, wall_time=name, severity=st.just("info"), code=name, message=name),
    st.builds(Advice, run_id=name, seq=count, wall_time=name, advice=st.just("stop"), reason=name),
    st.builds(field_record, st.just("r"), st.integers(1, 2**40)),
    st.builds(run_stop, st.just("r"), st.integers(1, 2**40)),
)
encodings = st.sampled_from(["json", "msgpack"])
Reader = Callable[[bytes], Wire]
MESSAGES = st.tuples(TO_EDGE, st.just(codec.decode_to_edge)) | st.tuples(FROM_EDGE, st.just(codec.decode_from_edge))
MAPS = {"fields", "cells", "counts", "settings", "camera", "non_wbc_per_100_wbc"}
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | name,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "proto",
    "client_id",
    "role",
    "resume",
    "cmd_id",
    "run_id",
    "trigger_id",
    "field_index",
    "stage",
    "max_fields",
    "upto_seq",
]
TYPES = ["HELLO", "RUN_START", "TRIGGER", "RUN_STOP", "QUERY", "ACK", "PING", "PONG"]
VECTORS = sorted((Path(__file__).parents[3] / "docs" / "vectors").glob("*_edge/*.[jm]s*"))
vectors = st.sampled_from(VECTORS).map(Path.read_bytes)


def packed(document: object, encoding: m.Encoding) -> bytes:
    """Of any document, valid or not."""
    content: bytes = json.dumps(document).encode() if encoding == "json" else msgpack.packb(document)
    return content


@given(TO_EDGE, encodings)
def test_what_a_client_encodes_the_edge_decodes(message: Wire, encoding: m.Encoding) -> None:
    assert codec.decode_to_edge(codec.encode(message, encoding)) == message


@given(FROM_EDGE, encodings)
def test_what_the_edge_encodes_a_client_decodes(message: Wire, encoding: m.Encoding) -> None:
    assert codec.decode_from_edge(codec.encode(message, encoding)) == message


@given(FROM_EDGE)
def test_both_encodings_hold_the_same_dictionary_with_the_type_first(message: Wire) -> None:
    as_json = json.loads(codec.encode(message, "json"))
    assert msgpack.unpackb(codec.encode(message, "msgpack")) == as_json
    assert next(iter(as_json)) == "type"


@given(MESSAGES, encodings, st.data())
def test_a_truncated_message_is_refused(
    message_and_reader: tuple[Wire, Reader], encoding: m.Encoding, data: st.DataObject
) -> None:
    message, decode = message_and_reader
    whole = codec.encode(message, encoding)
    with pytest.raises(codec.MessageError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b'{"type":"ACK",' + tail))
def test_random_bytes_raise_nothing_but_the_typed_error(data: bytes) -> None:
    with pytest.raises(codec.MessageError) as refused:
        codec.decode_to_edge(data)
    assert refused.value.reject in {"malformed", "unknown_type"}


@given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(KEYS) | name, anything, max_size=6), encodings)
def test_a_document_with_anything_in_it_is_a_message_or_refused(
    type_: str, document: dict[str, Any], encoding: m.Encoding
) -> None:
    try:
        message = codec.decode_to_edge(packed({"type": type_} | document, encoding))
    except codec.MessageError as refused:
        assert refused.reject == "malformed"
    else:
        assert message.type == type_


@given(vectors, st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_message_with_a_few_bytes_changed_is_a_message_or_refused(whole: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(whole)
    for place, value in changes:
        changed[place % len(changed)] = value
    for decode in (codec.decode_to_edge, codec.decode_from_edge, codec.decode_telemetry):
        try:
            message: Wire = decode(bytes(changed))
        except codec.MessageError as refused:
            assert len(str(refused)) < 700 and "\n" not in str(refused)
        else:
            assert decode(codec.encode(message, "json")) == message, "what is taken can be told on"


PACKED_PING = {"type": "PING", "nonce": "1", "t_ns": "1"}


@pytest.mark.parametrize(
    ("data", "reject"),
    [
        pytest.param(b"", "malformed", id="an empty part"),
        pytest.param(b"[1, 2]", "malformed", id="JSON, but no object"),
        pytest.param(b"{}", "malformed", id="no type at all"),
        pytest.param(b'{"type":"HELO"}', "unknown_type", id="a type nobody knows"),
        pytest.param(b'{"type":"WELCOME"}', "unknown_type", id="a type that only the edge may send"),
        pytest.param(b'{"type":"ACK","run_id":"r"}', "malformed", id="a key is missing"),
        pytest.param(b'{"type":"ACK","run_id":"r","upto_seq":-2,"send_until_seq":1}', "malformed", id="a seq below -1"),
        pytest.param(b'{"type":"QUERY","cmd_id":"\xff"}', "malformed", id="not UTF-8"),
        pytest.param(b'{"type":"' + b"x" * 60_000 + b'"}', "unknown_type", id="the refusal does not echo a huge type"),
        pytest.param(b'{"a":' + b"[" * 30_000, "malformed", id="nested without end"),
        pytest.param(b"\x91" * 30_000, "malformed", id="MessagePack nested without end"),
        pytest.param(msgpack.packb(PACKED_PING) + b"\x00", "malformed", id="MessagePack with a tail"),
        pytest.param(msgpack.packb({**PACKED_PING, "nonce": str(2**63)}), "malformed", id="beyond 64 bits"),
        pytest.param(msgpack.packb([1]), "malformed", id="MessagePack, but no map"),
        pytest.param(b" " * (codec.MAX_TO_EDGE_BYTES + 1), "too_large", id="one byte over the limit"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_code_in_one_short_sentence(data: bytes, reject: str) -> None:
    with pytest.raises(codec.MessageError) as refused:
        codec.decode_to_edge(data)
    assert refused.value.reject == reject
    assert len(str(refused.value)) < 700
    assert "\n" not in str(refused.value)


def with_later_keys(value: Any, later: dict[str, Any], first: bool) -> Any:  # noqa: ANN401
    """Into every object but those whose keys are data."""
    if isinstance(value, list):
        return [with_later_keys(each, later, first) for each in value]
    if not isinstance(value, dict):
        return value
    more = {key: each if key in MAPS else with_later_keys(each, later, first) for key, each in value.items()}
    return later | more if first else more | later


@given(MESSAGES, st.dictionaries(name.map("later {}".format), anything, min_size=1, max_size=3), encodings, st.booleans())
def test_unknown_keys_are_ignored_wherever_they_stand(
    message_and_reader: tuple[Wire, Reader], later: dict[str, Any], encoding: m.Encoding, first: bool
) -> None:
    message, decode = message_and_reader
    document = with_later_keys(json.loads(codec.encode(message, "json")), later, first)
    assert decode(packed(document, encoding)) == message


@given(st.integers(0, 2**53 - 1).filter(lambda proto: proto != m.PROTOCOL_VERSION), st.dictionaries(name, anything), encodings)
def test_a_hello_of_another_version_is_understood_whatever_else_it_holds(
    proto: int, rest: dict[str, Any], encoding: m.Encoding
) -> None:
    hello = {"type": "HELLO", "proto": proto, "client_id": "c"}
    for document in (hello | rest, hello | {"resume": [7]} | rest):
        read = codec.decode_to_edge(packed(document | hello, encoding))
        assert isinstance(read, m.Hello) and read.proto == proto


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param({}, id="nothing else"),
        pytest.param({"client_id": 7}, id="a name that is none here"),
        pytest.param({"client_id": "c", "encodings": "json", "role": "spy"}, id="keys of other types"),
    ],
)
def test_a_hello_of_another_version_that_holds_nothing_readable_is_told_about_the_version(rest: dict[str, Any]) -> None:
    for encoding in ("json", "msgpack"):
        with pytest.raises(codec.MessageError, match="asked for 2; use") as refused:
            codec.decode_to_edge(packed({"type": "HELLO", "proto": 2} | rest, encoding))
        assert refused.value.reject == "protocol"


def test_a_64_bit_integer_survives_a_json_parser_that_rounds() -> None:
    text = codec.encode(field_record("r", 1), "json")
    assert json.loads(text, parse_int=float)["t_host_ns"] == "9007199254740994"


def test_a_journalled_record_reaches_a_messagepack_session_unchanged() -> None:
    record = run_start("r")
    journalled = record.model_dump_json().encode()
    assert codec.from_journal(journalled, "json") == journalled
    assert codec.decode_from_edge(codec.from_journal(journalled, "msgpack")) == record
