"""Bad bytes, bad manners, bad addresses: each is answered in one sentence, none of them harms the run."""

import json
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from support.scripted_run import StartEdge, run_start, run_stop
from support.wire import RawClient

from edge.contracts.errors import StreamError
from edge.contracts.messages import TriggerCommand
from edge.journal.base import Journal
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.client import Controller
from edge.stream.codec import MAX_TO_EDGE_BYTES
from edge.stream.curve_keys import EDGE, new_pair
from edge.stream.server import EdgeServer
from edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(30)


def _flood(client: RawClient, n: int) -> None:
    """`n` messages: noise, known types with random keys, several parts, huge parts. The seed makes every flood the same."""
    draw = random.Random(11)
    types = ["HELLO", "ACK", "RUN_START", "RUN_STOP", "TRIGGER", "QUERY", "PING", "PONG", "WELCOME", "field", "?"]
    values: list[object] = ["", "r", -1, 2**70, None, [], {}, True, 1e308]
    keys = ["run_id", "cmd_id", "client_id", "proto", "upto_seq", "send_until_seq", "nonce", "resume"]
    for _ in range(n):
        kind = draw.randrange(5)
        if kind == 0:
            parts = [draw.randbytes(draw.randrange(200))]
        elif kind == 1:
            parts = [draw.randbytes(3) for _ in range(draw.randrange(2, 5))]
        elif kind == 2 and draw.random() < 0.02:
            parts = [b"x" * (MAX_TO_EDGE_BYTES + 1)]
        else:
            message = {"type": draw.choice(types)} | {key: draw.choice(values) for key in draw.sample(keys, 4)}
            parts = [json.dumps(message).encode()]
        client.socket.send_multipart(parts)


@pytest.mark.parametrize("has_session", [pytest.param(False, id="from a stranger"), pytest.param(True, id="from an observer")])
def test_a_flood_of_malformed_messages_leaves_the_run_unharmed(start_edge: StartEdge, has_session: bool) -> None:
    edge = start_edge(n_fields=200)
    with RawClient(edge.endpoint) as flooder, Controller(edge.endpoint, settings=ClientSettings(window=4)) as controller:
        controller.connect()
        if has_session:
            flooder.hello("flooder", role="observer")
        controller.start_run()
        _flood(flooder, 3000)
        assert [record.seq for record in controller.records()] == list(range(202))
        _flood(flooder, 1000)
        assert controller.query().runs[0].finished


@pytest.mark.parametrize(
    ("message", "code"),
    [
        pytest.param(
            {"type": "ACK", "run_id": "nobody", "upto_seq": -1, "send_until_seq": 9}, "unknown_run", id="an unknown run"
        ),
        pytest.param({"type": "ACK", "run_id": "r", "upto_seq": 99, "send_until_seq": 9}, "state", id="an ACK from the future"),
        pytest.param({"type": "NOD"}, "unknown_type", id="a type that does not exist"),
        pytest.param({"type": "ACK", "run_id": "r" * MAX_TO_EDGE_BYTES}, "too_large", id="a message over the limit"),
    ],
)
def test_a_message_that_cannot_be_served_is_refused_and_the_session_stays(
    start_edge: StartEdge, message: dict[str, object], code: str
) -> None:
    edge = start_edge(n_fields=2)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        edge.run.written.wait(5)
        refusal = client.ask(**message)
        assert (refusal["type"], refusal["code"]) == ("REJECT", code)
        assert client.ask(type="QUERY", cmd_id="q")["type"] == "STATE"


def test_an_ack_of_a_record_that_is_not_on_disk_yet_is_refused(tmp_path: Path) -> None:
    disk = threading.Event()

    class SlowDisk(SqliteJournal):
        def _write_patiently(self, *args: Any) -> None:  # noqa: ANN401
            assert disk.wait(10)
            super()._write_patiently(*args)

    journal = SlowDisk(tmp_path / "journal.sqlite")
    try:
        with _server("tcp://127.0.0.1:0", journal) as server, RawClient(server.endpoint) as client:
            client.hello()
            journal.append(run_start("r"))
            refusal = client.ask(type="ACK", run_id="r", upto_seq=0, send_until_seq=9)
            assert (refusal["code"], "was not sent yet" in refusal["reason"]) == ("state", True)
            client.send(type="ACK", run_id="r", upto_seq=-1, send_until_seq=9)
            disk.set()
            assert client.receive()["seq"] == 0
            client.send(type="ACK", run_id="r", upto_seq=0, send_until_seq=9)
            assert client.ask(type="QUERY", cmd_id="q")["type"] == "STATE"
            assert journal.acknowledged("r") == 0
    finally:
        disk.set()
        journal.close()


@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        pytest.param({"type": "RUN_START", "run_id": "r2"}, "REJECTED", "busy", id="a second run"),
        pytest.param({"type": "RUN_START", "run_id": "r"}, "REJECTED", "duplicate_run", id="the same run under another cmd_id"),
        pytest.param({"type": "RUN_STOP", "run_id": "r2"}, "REJECTED", "unknown_run", id="a stop for a run nobody started"),
        pytest.param({"type": "QUERY", "run_id": "r2"}, "REJECTED", "unknown_run", id="a query for it"),
        pytest.param(
            {"type": "TRIGGER", "run_id": "r", "trigger_id": "t", "field_index": 0}, "REJECTED", "unsupported", id="a trigger"
        ),
        pytest.param({"type": "RUN_STOP", "run_id": "r"}, "ACCEPTED", None, id="a stop"),
    ],
)
def test_a_repeated_command_is_answered_alike(
    start_edge: StartEdge, command: dict[str, object], answer: str, code: str | None
) -> None:
    edge = start_edge(n_fields=2, hold=True)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        first = client.ask(cmd_id="c2", **command)
        assert (first["type"], first.get("code"), first["cmd_id"]) == (answer, code, "c2")
        assert client.ask(cmd_id="c2", **command) == first


def test_a_client_that_leaves_its_answers_unread_loses_its_session_only(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5, settings=StreamSettings(max_waiting_answers=50))
    with RawClient(edge.endpoint) as client, Controller(edge.endpoint) as controller:
        client.hello("deaf", role="observer")
        for number in range(60_000):
            client.send(type="QUERY", cmd_id=str(number))
        controller.connect()
        controller.start_run()
        assert [record.seq for record in controller.records()] == list(range(7))
        while client.receive()["type"] == "STATE":
            pass
        assert client.ask(type="QUERY", cmd_id="late")["code"] == "state", "its session is gone"


def test_a_controller_whose_acks_fall_to_the_rate_limit_gets_every_record_later(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=100, settings=StreamSettings(messages_per_s=40))
    hasty = ClientSettings(window=1, ping_every_s=0.1, command_retry_s=0.1)
    with Controller(edge.endpoint, settings=hasty) as controller:
        controller.connect()
        controller.start_run()
        assert [record.seq for record in controller.records()] == list(range(102))
    assert edge.server.rejects["rate"], "some were dropped"


class UnreadableJournal(MemoryJournal):
    """Holds a run that it can no longer give back, as a file on a failing disk does."""

    def runs(self) -> list[str]:
        return ["old"]

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        raise StreamError("the journal cannot be read (disk I/O error); check its disk.")

    def announced(self, run_id: str, trigger_id: str) -> TriggerCommand | None:
        raise StreamError("the journal cannot be read (disk I/O error); check its disk.")


def test_a_journal_that_cannot_be_read_refuses_the_command_and_not_the_stream() -> None:
    journal = UnreadableJournal()
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot") as server,
        RawClient(server.endpoint) as client,
    ):
        client.hello()
        for command in ({"type": "RUN_START"}, {"type": "TRIGGER", "trigger_id": "t", "field_index": 0}):
            answer = client.ask(cmd_id=command["type"], run_id="old", **command)
            assert (answer["type"], answer["code"]) == ("REJECTED", "state")
            assert "disk I/O error" in answer["reason"]
        assert client.ask(type="PING", nonce="1", t_ns="0")["type"] == "PONG"
        assert server.alive


def _server(bind: str, journal: Journal | None = None) -> EdgeServer:
    return EdgeServer(bind, journal or MemoryJournal(), RunOrders(StopSwitch(), MemoryJournal()), "boot")


def test_a_port_in_use_is_reported_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StreamError, match=f"{bind} is already in use; .*--bind"):
            _server(bind).start()


@pytest.mark.parametrize(
    ("bind", "says"),
    [
        pytest.param("nonsense", "not an address", id="no transport"),
        pytest.param("tcp://127.0.0.1:99999", "port up to 65535", id="a port that libzmq would wrap round"),
        pytest.param("tcp://203.0.113.9:5570", "cannot be bound", id="another machine's address"),
        pytest.param("tcp://no-such-host.invalid:1", "cannot be bound", id="a name nobody knows"),
    ],
)
def test_an_address_that_cannot_be_bound_is_reported_in_one_sentence(tmp_path: Path, bind: str, says: str) -> None:
    new_pair(tmp_path, EDGE)  # without keys other machines' addresses are not even tried
    with pytest.raises(StreamError, match=f"{bind}.*{says}.*tcp://127.0.0.1:5570"):
        EdgeServer(bind, MemoryJournal(), RunOrders(StopSwitch(), MemoryJournal()), "boot", keys=tmp_path).start()


def test_the_journal_may_outlive_the_server() -> None:
    journal = MemoryJournal()
    server = _server("tcp://127.0.0.1:0", journal).start()
    server.close(drain_s=0)
    server.close(drain_s=0)
    for record in (run_start("r"), run_stop("r", 1)):
        journal.append(record)
    assert journal.finished("r")
