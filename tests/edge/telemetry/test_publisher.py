"""The telemetry socket: the newest state for whoever looks, and no harm to anybody by whoever does not."""

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import zmq
from support.ports import free_endpoint
from support.scripted_run import field_record, run_start, run_stop
from support.telemetry_bench import CALM, Bench, Subscriber

from edge.contracts.errors import StreamError
from edge.contracts.messages import Live, LiveField
from edge.contracts.records import FieldRecord, FieldStatus
from edge.stream.codec import encode
from edge.stream.curve_keys import EDGE, client_keys
from edge.telemetry.publisher import ALIVE_S, Publisher

DOCS = Path(__file__).parents[3] / "docs"

pytestmark = pytest.mark.timeout(30)


def test_records_and_state_arrive_as_one_message(bench: Bench) -> None:
    telemetry, subscriber = bench.subscribed()
    with subscriber:
        bench.snapshot = replace(
            CALM, phase="running", run_id="r", open_triggers=2, last_seq=9, lag=4, queue_fields=3, sessions=1
        )
        telemetry.record(run_start("r"))
        telemetry.record(field_record("r", 1))
        telemetry.record(field_record("r", 2))
        live = Live.model_validate_json(json.dumps(subscriber.until(lambda message: message["wbc_total"] == 2)))
        assert (live.phase, live.run_id, live.open_triggers, live.last_seq, live.lag) == ("running", "r", 2, 9, 4)
        assert (live.fields, live.cells) == ({FieldStatus.OK: 2}, {"neutrophil_segmented": 2})
        assert (live.queue_fields, live.sessions, live.refused, live.boot_id) == (3, 1, 0, "boot-1")
        assert live.engine == 'OpenVINO 2026.4.1 on Intel "Xeon" \\ 2.5 GHz, bf16'
        last = live.last_field
        assert last is not None and last.times is not None
        assert (last.seq, last.field_index, last.status, last.times.infer_ms) == (2, 1, FieldStatus.OK, 14.9)


def test_a_run_s_end_and_another_s_beginning_show(bench: Bench) -> None:
    telemetry, subscriber = bench.subscribed()
    with subscriber:
        for record in (run_start("r"), field_record("r", 1, FieldStatus.FAILED, wbc_total=0), run_stop("r", 2)):
            telemetry.record(record)
        ended = subscriber.until(lambda message: message["cells"] == {"neutrophil_segmented": 1})
        assert ended["last_field"]["status"] == "failed"
        telemetry.record(run_start("r2"))
        fresh = subscriber.until(lambda message: not message["cells"])
        assert (fresh["fields"], fresh["wbc_total"], fresh["last_field"]) == ({}, 0, None)


def test_who_comes_late_and_finds_nothing_happening_hears_all_the_same(bench: Bench) -> None:
    telemetry = bench.start(alive_s=ALIVE_S)
    telemetry.record(field_record("r", 1))
    assert telemetry.publisher is not None
    with Subscriber(telemetry.publisher.endpoint) as late:
        assert late.next()["wbc_total"] == 1
        assert late.next()["telemetry_seq"] > 0, "a sign of life follows although nothing is new"


def test_without_a_subscriber_a_burst_of_records_is_neither_a_burst_of_messages_nor_lost(bench: Bench) -> None:
    telemetry = bench.start()
    assert telemetry.publisher is not None
    for seq in range(1, 5001):
        telemetry.record(field_record("r", seq) if seq % 1000 == 0 else FIELD)
    assert telemetry.publisher.sent < 2500
    with Subscriber(telemetry.publisher.endpoint) as late:
        late.until(lambda message: message["wbc_total"] == 5000)


FIELD = field_record("r", 1)


def _numbered(seq: int) -> bytes:
    return json.dumps({"telemetry_seq": seq, "padding": "x" * 4096}).encode()


def test_a_stalled_subscriber_misses_some_and_sees_it_by_the_gap() -> None:
    """Every message is news; it stops reading until far more were sent than any buffer holds."""
    publisher = Publisher("tcp://127.0.0.1:*", _numbered, object, hz=1000).start()
    try:
        with Subscriber(publisher.endpoint, rcvhwm=1, rcvbuf=4096) as stalled:
            seen = [stalled.next()["telemetry_seq"]]
            start = publisher.sent
            wait(lambda: publisher.sent >= start + 200)
            newest = publisher.sent
            while seen[-1] < newest:
                seen.append(stalled.next()["telemetry_seq"])
        held = [seq for seq in seen if seq < newest]
        assert seen == sorted(set(seen))
        assert len(held) < newest - start, "what nobody took was dropped, not kept"
    finally:
        publisher.close()


def wait(holds: Callable[[], bool]) -> None:
    while not holds():
        threading.Event().wait(0.005)


@pytest.mark.parametrize(
    ("prefixes", "options"),
    [
        pytest.param((b"",), {"conflate": 1}, id="the newest only, by its own wish: messages are one part"),
        pytest.param((b'{"type":"live"', b"~"), {}, id="two subscriptions: a conflating PUB would forget the first"),
        pytest.param((b"~", b'{"type"'), {}, id="the other way round"),
    ],
)
def test_every_usual_way_to_subscribe_works(bench: Bench, prefixes: tuple[bytes, ...], options: dict[str, int | bytes]) -> None:
    telemetry = bench.start()
    assert telemetry.publisher is not None
    with Subscriber(telemetry.publisher.endpoint, prefixes, **options) as subscriber:
        assert next(iter(subscriber.next())) == "type"


def test_the_last_state_is_published_before_it_closes(bench: Bench) -> None:
    telemetry, subscriber = bench.subscribed()
    with subscriber:
        subscriber.next()
        bench.snapshot = replace(CALM, phase="finished")
        telemetry.close()
        telemetry.close()
        seqs = [message["telemetry_seq"] for message in _rest(subscriber, lambda message: message["phase"] == "finished")]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), "who reads in time misses nothing"


def _rest(subscriber: Subscriber, until: Callable[[dict[str, object]], bool]) -> list[dict[str, object]]:
    messages = [subscriber.next()]
    while not until(messages[-1]):
        messages.append(subscriber.next())
    return messages


def test_a_defect_of_the_telemetry_is_logged_and_ends_the_telemetry_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: int) -> bytes:
        raise ValueError("no such thing")

    publisher = Publisher("tcp://127.0.0.1:*", broken, object, hz=100).start()
    wait(lambda: "telemetry ends by a defect (ValueError: no such thing)" in caplog.text)
    publisher.close()
    assert publisher.sent == 0


@pytest.mark.parametrize("name", [None, "stranger"], ids=["in plaintext", "a key that nobody allowed"])
def test_with_keys_strangers_get_nothing_and_are_counted(
    bench: Bench, keys: Path, caplog: pytest.LogCaptureFixture, name: str | None
) -> None:
    bench.snapshot = replace(CALM, refused=40)
    publisher = bench.start(keys=keys).publisher
    assert publisher is not None
    with Subscriber(publisher.endpoint, **of("dashboard", keys)) as allowed:
        assert allowed.next()["refused"] == 40, "those of the controllers' socket"
        with caplog.at_level(logging.WARNING), Subscriber(publisher.endpoint, **of(name, keys)) as stranger:
            allowed.until(lambda message: message["refused"] > 40)
            assert not stranger.heard(0.3), "several signs of life have passed it by"
    assert "a telemetry subscriber was turned away (number 1)" in caplog.text


def of(name: str | None, keys: Path) -> dict[str, int | bytes]:
    """Options of a subscriber with the keys of `name`."""
    if name is None:
        return {}
    pair = client_keys(keys.parent / "clients" / f"{name}.key_secret", keys / f"{EDGE}.key")
    return {"curve_publickey": pair.own.public, "curve_secretkey": pair.own.secret, "curve_serverkey": pair.edge}


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        pytest.param("tcp://0.0.0.0:*", "without keys anybody could read its counts", id="others can reach it, and no keys"),
        pytest.param("127.0.0.1:5571", "is not an address that can be used", id="the form of the metrics' address"),
        pytest.param("tcp://192.0.2.1.invalid:5571", "without keys", id="somebody else's name"),
        pytest.param("ipc:///nowhere/at/all", r"cannot be bound \(", id="cannot be bound"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(bench: Bench, bind: str, says: str) -> None:
    with pytest.raises(StreamError, match=says):
        bench.start(bind)


def test_keys_that_are_not_there_are_one_sentence(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="is no key file"):
        bench.start(keys=tmp_path)


def test_a_port_in_use_is_one_sentence(bench: Bench) -> None:
    endpoint = free_endpoint()
    with zmq.Context() as context, context.socket(zmq.PUB) as other:
        other.bind(endpoint)
        with pytest.raises(StreamError, match=f"{endpoint} is already in use; .* with --telemetry"):
            bench.start(endpoint)


def test_the_protocol_page_shows_it_as_the_code_writes_it() -> None:
    section = (DOCS / "protocol.md").read_text(encoding="utf-8").split("\n## Telemetry\n")[1].split("\n## ")[0]
    (shown,) = re.findall(r"```json\n(.*)\n```", section)
    assert shown == encode(Live.model_validate_json(shown), "json").decode()


def test_a_live_message_is_what_the_schema_says(bench: Bench) -> None:
    telemetry, subscriber = bench.subscribed()
    telemetry.record(field_record("r", 1))
    with subscriber:
        message = subscriber.until(lambda message: message["last_field"] is not None)
    jsonschema.validate(message, json.loads((DOCS / "schemas" / "telemetry.schema.json").read_text()))


def test_the_last_field_has_the_names_of_a_field_record() -> None:
    assert LiveField.model_fields.keys() <= FieldRecord.model_fields.keys()
