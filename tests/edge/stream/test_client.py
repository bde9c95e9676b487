"""What the client makes of an edge that misbehaves: sends twice, leaves out, sends what nobody can read."""

import threading
from collections.abc import Iterator

import pytest
import zmq
from support.scripted_run import StartEdge, field_record, run_start, run_stop

from edge.contracts.base import Wire
from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.messages import Accepted, RunStartCommand, Welcome
from edge.stream.client import Controller
from edge.stream.codec import decode_to_edge, encode
from edge.stream.settings import ClientSettings

pytestmark = pytest.mark.timeout(20)


class OddEdge:
    """A ROUTER that welcomes, accepts, and then sends what the test has put into `payloads`."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind("tcp://127.0.0.1:0")
        self.endpoint = self._router.getsockopt_string(zmq.LAST_ENDPOINT)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="odd-edge")
        self._thread.start()

    def plan(self, *records: Wire) -> None:
        self.payloads = [encode(record, "json") for record in records]

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._router.close()
        self._context.term()

    def _serve(self) -> None:
        while not self._closing.is_set():
            if not self._router.poll(20):
                continue
            identity, data = self._router.recv_multipart()
            message = decode_to_edge(data)
            if message.type == "HELLO":
                welcome = Welcome(encoding="json", boot_id="odd", server_version="0", role="controller")
                self._router.send_multipart([identity, encode(welcome, "json")])
            elif isinstance(message, RunStartCommand):
                self._router.send_multipart([identity, encode(Accepted(cmd_id=message.cmd_id), "json")])
                for payload in self.payloads:
                    self._router.send_multipart([identity, payload])


@pytest.fixture
def odd_edge() -> Iterator[OddEdge]:
    edge = OddEdge()
    yield edge
    edge.close()


def _seqs(edge: OddEdge) -> list[int]:
    with Controller(edge.endpoint, settings=ClientSettings(dead_after_s=0.5, reconnect_s=0.5)) as controller:
        controller.connect()
        controller.start_run(run_id="r")
        return [record.seq for record in controller.records()]


def test_what_is_sent_twice_is_yielded_once(odd_edge: OddEdge) -> None:
    one, two = field_record("r", 1), field_record("r", 2)
    odd_edge.plan(run_start("r"), one, one, run_start("r"), one, two, one, run_stop("r", 3))
    assert _seqs(odd_edge) == [0, 1, 2, 3]


def test_another_runs_records_are_not_mixed_in(odd_edge: OddEdge) -> None:
    odd_edge.plan(run_start("before"), run_start("r"), field_record("before", 1), run_stop("r", 1))
    assert _seqs(odd_edge) == [0, 1]


def test_a_gap_is_an_error_and_never_skipped(odd_edge: OddEdge) -> None:
    odd_edge.plan(run_start("r"), field_record("r", 1), field_record("r", 3), run_stop("r", 4))
    with pytest.raises(StreamError, match="seq 2 was due and 3 came; resume from 2"):
        _seqs(odd_edge)


def test_a_message_nobody_can_read_is_an_error(odd_edge: OddEdge) -> None:
    odd_edge.payloads = [b"\xc1\xc1"]
    with pytest.raises(StreamError, match="neither a JSON object nor a MessagePack map"):
        _seqs(odd_edge)


def test_a_command_that_is_never_answered_ends_in_a_sentence(odd_edge: OddEdge) -> None:
    with pytest.raises(StreamError, match=r"did not answer QUERY within 0\.4 s"), Controller(odd_edge.endpoint) as controller:
        controller.connect()
        controller.query(timeout_s=0.4)


@pytest.mark.parametrize("name", ["", "n" * 129, "pr\udce4p"])
def test_a_name_that_no_message_can_carry_is_never_sent(start_edge: StartEdge, name: str) -> None:
    edge = start_edge(hold=True)
    with pytest.raises(ConfigError, match="client id"):
        Controller(edge.endpoint, client_id=name)
    with Controller(edge.endpoint) as controller:
        controller.connect()
        for names in ({"run_id": name}, {"slide_id": name}, {"sample_id": name}, {"continues_run_id": name}):
            with pytest.raises(ConfigError, match="cannot be used"):
                controller.start_run(**names)  # type: ignore[arg-type]
        run_id = controller.start_run()
        for refused in (
            lambda: controller.trigger(run_id, name, 0),
            lambda: controller.trigger(run_id, "t", 0, cmd_id=name),
            lambda: controller.stop_run(name),
            lambda: controller.query(name),
            lambda: controller.follow(name, 0),
        ):
            with pytest.raises(ConfigError, match="cannot be used"):
                refused()
    assert edge.server.rejects["malformed"] == 0
    assert edge.journal.runs() in ([], [run_id])
