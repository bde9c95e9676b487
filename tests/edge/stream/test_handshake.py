"""HELLO: who gets a session, who is refused and why."""

import re
import time
from typing import Any

import pytest
from support.scripted_run import StartEdge
from support.wire import RawClient

from edge.contracts.errors import StreamError
from edge.stream.client import Controller
from edge.stream.settings import StreamSettings

pytestmark = pytest.mark.timeout(20)


@pytest.mark.parametrize(
    ("hello", "code", "says"),
    [
        pytest.param({"proto": 2}, "protocol", r"wire protocol 1 .* asked for 2", id="a controller of another version"),
        pytest.param({"encodings": ["cbor", "xml"]}, "encoding", r"json, msgpack.*cbor", id="no encoding in common"),
        pytest.param({"role": "owner"}, "malformed", r"role", id="a role that is none"),
        pytest.param({"resume": {"run_id": "gone", "next_seq": 3}}, "unknown_run", r"'gone'", id="resumes a run nobody has"),
    ],
)
def test_a_hello_that_cannot_be_served_is_refused(start_edge: StartEdge, hello: dict[str, Any], code: str, says: str) -> None:
    with RawClient(start_edge().endpoint) as client:
        answer = client.hello(**hello)
        assert (answer["type"], answer["code"]) == ("REJECT", code)
        assert re.search(says, answer["reason"])
        assert client.hello()["type"] == "WELCOME", "after a refusal the client may try again"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param(["json"], "json", id="the default"),
        pytest.param(["msgpack", "json"], "msgpack", id="the client's first choice"),
        pytest.param(["cbor", "json"], "json", id="the first that both know"),
    ],
)
def test_the_client_chooses_the_encoding(start_edge: StartEdge, offered: list[str], chosen: str) -> None:
    with RawClient(start_edge().endpoint) as client:
        assert client.hello(encodings=offered)["encoding"] == chosen


def test_a_second_controller_is_told_who_holds_the_lease(start_edge: StartEdge) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint) as first, RawClient(edge.endpoint) as second:
        first.hello("scanner-a")
        answer = second.hello("scanner-b")
        assert answer["code"] == "busy"
        assert "'scanner-a'" in answer["reason"]


def test_the_lease_is_free_at_once_when_its_holder_has_closed(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(silent_after_s=600))
    with RawClient(edge.endpoint) as first:
        first.hello("scanner-a")
    with RawClient(edge.endpoint) as second:
        assert second.hello("scanner-b")["type"] == "WELCOME"


def test_the_lease_of_a_silent_controller_expires(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(silent_after_s=0.2, ping_every_s=0.1))
    with RawClient(edge.endpoint) as mute, RawClient(edge.endpoint) as second:
        mute.hello("scanner-a")
        while (answer := second.hello("scanner-b"))["type"] != "WELCOME":
            assert answer["code"] == "busy"
        assert mute.ask(type="QUERY", cmd_id="q")["code"] == "state", "the silent one has to say HELLO again"


@pytest.mark.parametrize("identity", [pytest.param(None, id="a new socket"), pytest.param(b"x", id="the same routing id")])
def test_a_restarted_controller_supersedes_itself(start_edge: StartEdge, identity: bytes | None) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint, identity) as before:
        before.hello("scanner-a")
        with RawClient(edge.endpoint, identity) as after:
            assert after.hello("scanner-a")["type"] == "WELCOME"
            if identity is None:
                assert before.receive()["code"] == "superseded", "the older session is told why it is over"
            assert after.ask(type="QUERY", cmd_id="q")["type"] == "STATE"


@pytest.mark.parametrize("role", ["controller", "observer"])
@pytest.mark.parametrize(
    "act",
    [
        pytest.param({"type": "RUN_STOP", "cmd_id": "9"}, id="stops the run"),
        pytest.param({"type": "ACK", "upto_seq": 0, "send_until_seq": 99}, id="acknowledges its records"),
        pytest.param({"type": "TRIGGER", "cmd_id": "8", "trigger_id": "t", "field_index": 0}, id="triggers"),
    ],
)
@pytest.mark.parametrize("says_hello", [True, False])
def test_whoever_takes_the_routing_id_of_a_controller_does_not_get_its_session(
    start_edge: StartEdge, role: str, act: dict[str, Any], *, says_hello: bool
) -> None:
    """Copied firmware has one ZeroMQ identity; ZeroMQ gives it to whoever connects last."""
    edge = start_edge(hold=True)
    with RawClient(edge.endpoint, b"firmware") as first, RawClient(edge.endpoint) as witness:
        first.hello("scanner-a")
        first.ask(type="RUN_START", cmd_id="1", run_id="r")
        with RawClient(edge.endpoint, b"firmware") as second:
            if says_hello:
                answer = second.hello("scanner-b", role=role)
                if role == "controller":
                    assert answer["code"] == "busy" and "'scanner-a' holds the lease" in answer["reason"]
                    assert "the same ZeroMQ routing id" in answer["reason"]
            second.send(**act, run_id="r")
            if says_hello and role == "observer":
                answer = second.receive() if act["type"] != "ACK" else {"code": "state"}
            else:
                answer = second.receive()
            assert answer["code"] == "state", "nothing was done in the name of the first"
        witness.hello("looks-on", role="observer")
        (run,) = witness.ask(type="QUERY", cmd_id="q")["runs"]
        assert (run["finished"], edge.journal.acknowledged("r"), edge.run.control.state().phase) == (False, -1, "running")
        with RawClient(edge.endpoint, b"firmware") as again:
            assert again.hello("scanner-a")["type"] == "WELCOME", "the first still has its lease"
            assert again.ask(type="RUN_STOP", cmd_id="2", run_id="r")["type"] == "ACCEPTED"


def test_a_controller_that_was_cut_off_and_stays_away_loses_its_lease(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(silent_after_s=0.2, ping_every_s=0.1))
    with RawClient(edge.endpoint, b"firmware") as first:
        first.hello("scanner-a")
        with RawClient(edge.endpoint, b"firmware") as second:
            while (answer := second.hello("scanner-b"))["type"] != "WELCOME":
                assert answer["code"] == "busy"
                time.sleep(0.02)  # slower than the rate above which strangers are not heard


def test_an_observer_reads_and_neither_commands_nor_holds_records_back(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5)
    with Controller(edge.endpoint) as controller, Controller(edge.endpoint, role="observer") as observer:
        controller.connect()
        run_id = controller.start_run()
        observer.connect()
        with pytest.raises(StreamError, match="observer may only read"):
            observer.stop_run(run_id)
        seen = [record.seq for record in observer.records(run_id)]
        assert seen == list(range(7))
        assert edge.journal.acknowledged(run_id) == -1, "only a controller's ACK lets records go"
        assert [record.seq for record in controller.records()] == seen


def test_an_observer_that_comes_after_the_records_were_let_go_is_told_so(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=20, keep=5)
    with Controller(edge.endpoint) as controller, Controller(edge.endpoint, role="observer") as observer:
        controller.connect()
        run_id = controller.start_run()
        assert len(list(controller.records())) == 22
        controller.query()
        observer.connect()
        with pytest.raises(StreamError, match="no longer held; resume from seq 17"):
            list(observer.records(run_id))
        assert edge.server.rejects["unknown_run"] == 1, "it is counted like every REJECT"
        assert next(record.seq for record in observer.records(run_id, from_seq=17)) == 17


def test_commands_before_hello_are_refused(start_edge: StartEdge) -> None:
    with RawClient(start_edge().endpoint) as client:
        answer = client.ask(type="RUN_START", cmd_id="c", run_id="r")
        assert answer["code"] == "state"
        assert "HELLO" in answer["reason"]


def test_welcome_lists_the_runs_the_edge_holds(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=3)
    with Controller(edge.endpoint, client_id="a") as controller:
        controller.connect()
        run_id = controller.start_run()
        list(controller.records())
        (run,) = controller.connect().runs
        assert (run.run_id, run.next_seq, run.finished) == (run_id, 5, True)
