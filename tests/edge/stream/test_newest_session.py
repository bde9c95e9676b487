"""Who is the newest: late HELLOs of one client, a client that was taken over, and ZeroMQ's names of connections."""

import os
import socket
import time

import pytest
from support.scripted_run import StartEdge
from support.wire import RawClient

from edge.contracts.errors import StreamError
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.attempts import Attempts
from edge.stream.client import Controller
from edge.stream.exchange import GONE, Exchange
from edge.stream.inquiries import Inquiries, SelfReport
from edge.stream.server import connection_of
from edge.stream.settings import StreamSettings

pytestmark = pytest.mark.timeout(30)
NEVER = 1_000_000_000_000


@pytest.mark.parametrize(
    ("first", "second", "served"),
    [
        pytest.param("7", "8", True, id="a greater attempt takes over"),
        pytest.param("8", "7", False, id="a smaller one came late and changes nothing"),
        pytest.param("8", "8", True, id="who numbers nothing anew is served as without a number"),
        pytest.param("9223372036854775807", "-9223372036854775808", False, id="the ends of the range"),
        pytest.param(None, "7", True, id="the older one has no number"),
        pytest.param("7", None, True, id="the newer one has no number"),
    ],
)
def test_an_older_hello_of_the_same_client_does_not_get_the_session(
    start_edge: StartEdge, first: str | None, second: str | None, *, served: bool
) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint) as one, RawClient(edge.endpoint) as two:
        assert one.hello("scanner-a", attempt=first)["type"] == "WELCOME"
        answer = two.hello("scanner-a", attempt=second)
        loser = one.receive() if served else answer
        assert (answer["type"] == "WELCOME") is served
        assert (loser["type"], loser["code"]) == ("REJECT", "superseded")
        assert (two if served else one).ask(type="QUERY", cmd_id="q")["type"] == "STATE", "the newest goes on"


def test_an_abandoned_dealer_that_lingers_does_not_take_the_session_away(start_edge: StartEdge) -> None:
    """Both say HELLO while nobody listens; ZeroMQ delivers them in either order once the edge is there."""
    edge = start_edge()
    edge.run.control.state()
    for _ in range(10):
        with RawClient(edge.endpoint) as old, RawClient(edge.endpoint) as new:
            number = time.time_ns()
            hello = {"type": "HELLO", "proto": 1, "encodings": ["json"], "client_id": "scanner-a"}
            new.send(**hello, attempt=str(number + 1))
            old.send(**hello, attempt=str(number))
            assert new.receive()["type"] == "WELCOME"
            while (told := old.receive())["type"] != "REJECT":
                assert told["type"] == "WELCOME", "it was the first to arrive"
            assert told["code"] == "superseded"
            assert new.ask(type="QUERY", cmd_id="q")["type"] == "STATE"


def test_another_client_is_not_measured_by_its_predecessors_numbers(start_edge: StartEdge) -> None:
    edge = start_edge()
    with RawClient(edge.endpoint) as one:
        one.hello("scanner-a", attempt=str(NEVER))
    with RawClient(edge.endpoint) as two, RawClient(edge.endpoint) as looker:
        assert two.hello("scanner-b", attempt="1")["type"] == "WELCOME"
        assert looker.hello("scanner-a", role="observer", attempt="1")["type"] == "WELCOME", "observers take nothing away"


def test_a_clock_that_was_set_back_keeps_a_client_out_for_a_while_only(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(silent_after_s=0.2, ping_every_s=0.1))
    with RawClient(edge.endpoint) as one:
        one.hello("scanner-a", attempt=str(NEVER))
    with RawClient(edge.endpoint) as two:
        answers = [two.hello("scanner-a", attempt="1")]
        while answers[-1]["type"] != "WELCOME":
            assert answers[-1]["code"] == "superseded"
            time.sleep(0.02)
            answers.append(two.hello("scanner-a", attempt="1"))


def test_attempts_are_forgotten_after_their_client() -> None:
    attempts = Attempts(keep_ns=10)
    attempts.take("a", 5, 0)
    attempts.heard("a", 8)
    assert attempts.newer_than("a", 4, 18) == 5
    assert attempts.newer_than("a", 4, 19) is None
    attempts.take("b", 1, 19)
    attempts.heard("b", 30)
    assert attempts.newer_than("a", 4, 8) is None, "nothing is kept of who is gone"


class _Frame:
    """What ZeroMQ notes on a message: the descriptor of its connection."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def get(self, _: object) -> int:
        return self._descriptor


def test_a_descriptor_that_is_given_again_is_another_connection() -> None:
    """Of two clients with one routing id, the one that was refused may be given the number that the other's connection had."""
    first = socket.socket()
    number = first.fileno()
    before = connection_of(b"firmware", _Frame(number))
    assert before == connection_of(b"firmware", _Frame(number))
    other = socket.socket()
    first.close()
    assert connection_of(b"firmware", _Frame(number)) == GONE
    os.dup2(other.fileno(), number)
    assert connection_of(b"firmware", _Frame(number)) not in {before, GONE}
    assert connection_of(b"\0abcd", _Frame(number)) == connection_of(b"\0abcd", _Frame(-1)), "ZeroMQ gives these once"
    os.close(number)
    other.close()


def test_what_came_over_a_closed_connection_is_nobodys() -> None:
    journal = MemoryJournal()
    control = RunOrders(StopSwitch(), journal)
    inquiries = Inquiries(SelfReport(), lambda: None)
    exchange = Exchange(journal, control, "boot", StreamSettings(), lambda identity, payload: "sent", inquiries)
    hello = b'{"type":"HELLO","client_id":"scanner-a"}'
    start = b'{"type":"RUN_START","cmd_id":"1","run_id":"r"}'
    exchange.receive(b"firmware", GONE, [hello], 0)
    assert exchange.sessions == {}
    exchange.receive(b"firmware", 7, [hello], 0)
    exchange.receive(b"firmware", GONE, [start], 0)
    assert control.state().phase == "waiting" and len(exchange.sessions) == 1
    exchange.receive(b"firmware", 7, [start], 0)
    assert control.state().phase == "running"


def test_the_reference_client_numbers_its_hellos(start_edge: StartEdge) -> None:
    edge = start_edge()
    with Controller(edge.endpoint, client_id="a") as first, Controller(edge.endpoint, client_id="a") as second:
        first.connect()
        second.connect()
        with pytest.raises(StreamError, match=r"refused \(superseded\)"):
            first.query()
        second.query()
