"""Records reach their readers in order, without a gap, as far as credit allows; nobody's slowness reaches the pipeline."""

import threading
import time

import pytest
from support.scripted_run import StartEdge, field_record
from support.wire import RawClient

from edge.contracts.records import RunOutcome, RunStop
from edge.stream.client import Controller
from edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize(
    ("window", "batch"),
    [
        pytest.param(1, 64, id="one record at a time"),
        pytest.param(3, 64, id="a window smaller than the batch"),
        pytest.param(64, 1, id="a batch of one"),
        pytest.param(5000, 4096, id="more credit than ZeroMQ queues"),
    ],
)
def test_every_record_comes_once_and_in_order(start_edge: StartEdge, window: int, batch: int) -> None:
    edge = start_edge(n_fields=3000 if window == 5000 else 300, settings=StreamSettings(batch_records=batch))
    with Controller(edge.endpoint, settings=ClientSettings(window=window)) as controller:
        controller.connect()
        run_id = controller.start_run()
        seqs = [record.seq for record in controller.records()]
    assert seqs == list(range(edge.journal.next_seq(run_id)))


def test_not_one_record_is_sent_beyond_the_credit(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=50)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        edge.run.written.wait(5)
        client.send(type="ACK", run_id="r", upto_seq=-1, send_until_seq=4)
        assert [client.receive()["seq"] for _ in range(4)] == [0, 1, 2, 3]
        assert client.ask(type="QUERY", cmd_id="q")["type"] == "STATE", "nothing but the answer came"
        client.send(type="ACK", run_id="r", upto_seq=3, send_until_seq=6)
        assert [client.receive()["seq"] for _ in range(2)] == [4, 5]
        assert edge.journal.acknowledged("r") == 3


def test_an_ack_that_comes_once_more_after_a_newer_one_takes_no_credit_back(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=10)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        edge.run.written.wait(5)
        first = {"type": "ACK", "run_id": "r", "upto_seq": -1, "send_until_seq": 2}
        client.send(**first)
        assert [client.receive()["seq"] for _ in range(2)] == [0, 1]
        client.send(type="ACK", run_id="r", upto_seq=1, send_until_seq=3)
        client.send(**first)
        assert client.receive()["seq"] == 2
        client.send(type="ACK", run_id="r", upto_seq=2, send_until_seq=5)
        client.send(**first)
        assert [client.receive()["seq"] for _ in range(2)] == [3, 4], "a client that waits here would wait for ever"


def test_a_record_is_sent_when_it_is_written_not_when_the_next_heartbeat_is_due(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=3, hold=True, settings=StreamSettings(ping_every_s=60, silent_after_s=600))
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        client.send(type="ACK", run_id="r", upto_seq=-1, send_until_seq=100)
        assert client.receive()["seq"] == 0
        for seq in (1, 2, 3):
            edge.run.go.release()
            assert client.receive()["seq"] == seq


def test_a_controller_that_stops_reading_never_blocks_the_writer_and_loses_nothing(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=6000)
    with Controller(edge.endpoint, settings=ClientSettings(window=100_000)) as controller:
        controller.connect()
        controller.start_run()
        assert edge.run.written.wait(20), "the run ended while nobody read a single record"
        assert [record.seq for record in controller.records()] == list(range(6002))


def test_a_deaf_controller_loses_its_session_and_resumes(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=10, settings=StreamSettings(silent_after_s=0.2, ping_every_s=0.05))
    with Controller(edge.endpoint, settings=ClientSettings(window=2)) as controller:
        controller.connect()
        controller.start_run()
        seqs = []
        for record in controller.records():
            seqs.append(record.seq)
            if record.seq == 4:
                time.sleep(0.5)
    assert seqs == list(range(12))


def test_a_run_in_messagepack_equals_the_run_in_json(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=30)
    with Controller(edge.endpoint, encodings=("msgpack",)) as packed, Controller(edge.endpoint, role="observer") as plain:
        packed.connect()
        run_id = packed.start_run()
        plain.connect()
        as_json = list(plain.records(run_id))
        assert list(packed.records()) == as_json
        assert as_json[3] == field_record(run_id, 3)


def test_pong_tells_state_last_seq_and_lag(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=3)
    with RawClient(edge.endpoint) as client:
        client.hello()
        assert client.ask(type="PING", nonce="7", t_ns="1")["state"] == "waiting"
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        edge.run.written.wait(5)
        client.send(type="ACK", run_id="r", upto_seq=1, send_until_seq=0)
        pong = client.ask(type="PING", nonce="8", t_ns="1")
        assert (pong["nonce"], pong["state"], pong["last_seq"], pong["lag"]) == ("8", "finished", 4, 3)


def test_closing_waits_for_a_slow_controller_to_hold_everything(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5)
    with Controller(edge.endpoint, settings=ClientSettings(window=1)) as controller:
        controller.connect()
        controller.start_run()
        edge.run.written.wait(5)
        records = controller.records()
        next(records)
        closing = threading.Thread(target=edge.server.close, args=(3600.0,))
        closing.start()
        rest = list(records)
        closing.join(10)
        assert not closing.is_alive()
    assert isinstance(rest[-1], RunStop)
    assert rest[-1].outcome is RunOutcome.COMPLETED


def test_closing_without_a_controller_is_bounded(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=2000)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="c", run_id="r")
        client.send(type="ACK", run_id="r", upto_seq=-1, send_until_seq=100_000)
        edge.run.written.wait(5)
        edge.server.close(drain_s=0.2)
        assert not edge.server.alive
