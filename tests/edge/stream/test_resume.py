"""Broken cables and dead processes: every record still comes exactly once and in order, or one sentence says why not."""

import socket

import pytest
from support.scripted_run import StartEdge
from support.wire import Cable

from edge.contracts.errors import StreamError
from edge.contracts.messages import Accepted, Resume, RunStartCommand
from edge.contracts.records import RunStart
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.client import Controller
from edge.stream.server import EdgeServer
from edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(30)
QUICK = ClientSettings(window=8, ping_every_s=0.1, dead_after_s=0.5, reconnect_s=3, command_retry_s=0.1)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_cable_cut_again_and_again_costs_no_record(start_edge: StartEdge, encoding: str) -> None:
    edge = start_edge(n_fields=200)
    cable = Cable(edge.endpoint)
    try:
        with Controller(cable.endpoint, encodings=(encoding,), settings=QUICK) as controller:
            controller.connect()
            controller.start_run()
            seqs = []
            for record in controller.records():
                seqs.append(record.seq)
                if record.seq % 60 == 30:
                    cable.cut()
    finally:
        cable.close()
    assert seqs == list(range(202))


def test_a_hello_that_comes_once_more_in_mid_run_costs_nothing(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=2, hold=True)
    with Controller(edge.endpoint, settings=QUICK) as controller:
        controller.connect()
        controller.start_run()
        assert isinstance(controller.poll(5), RunStart)
        assert controller.poll(0.05) is None, "all there is was read and acknowledged"
        controller._link.send(controller._hello(None))  # as a relay may: the session is a new one, without credit
        assert controller.poll(0.2) is None
        for seq in (1, 2):
            edge.run.go.release()
            record = controller.poll(5)
            assert record is not None and record.seq == seq


def test_the_run_goes_on_while_nobody_listens_and_a_restarted_controller_gets_the_rest(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=40)
    with Controller(edge.endpoint, client_id="scanner", settings=QUICK) as first:
        first.connect()
        run_id = first.start_run()
        records = first.records()
        held = [next(records).seq for _ in range(10)]
    assert edge.run.written.wait(5)
    with Controller(edge.endpoint, client_id="scanner", settings=QUICK) as second:
        second.connect(resume=Resume(run_id=run_id, next_seq=10))
        held += [record.seq for record in second.records()]
    assert held == list(range(42))


def test_an_edge_that_is_gone_for_good_ends_in_one_sentence(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5, hold=True)
    cable = Cable(edge.endpoint)
    try:
        with Controller(cable.endpoint, settings=QUICK.model_copy(update={"reconnect_s": 0.5})) as controller:
            controller.connect()
            controller.start_run()
            cable.dead = True
            cable.cut()
            with pytest.raises(StreamError, match=r"session was lost \(nothing was heard for 0.5 s\).*no edge answered"):
                list(controller.records())
    finally:
        cable.close()


def test_an_edge_that_was_restarted_in_mid_run_says_that_it_no_longer_holds_the_run(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=5, hold=True)
    with Controller(edge.endpoint, settings=QUICK) as controller:
        controller.connect()
        controller.start_run()
        records = controller.records()
        assert next(records).seq == 0
        edge.server.close(drain_s=0)
        again = EdgeServer(edge.endpoint, MemoryJournal(), RunOrders(StopSwitch(), MemoryJournal()), "boot-2").start()
        with pytest.raises(StreamError, match=r"could not be opened anew.*unknown_run.*may have been restarted"):
            next(records)
        again.close(drain_s=0)


def test_a_run_that_was_accepted_and_has_no_record_yet_is_known() -> None:
    journal = MemoryJournal()
    with EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot") as server:
        with Controller(server.endpoint, client_id="a") as controller:
            controller.connect()
            run_id = controller.start_run()
            (run,) = controller.query(run_id).runs
            assert (run.next_seq, run.finished) == (0, False)
        with Controller(server.endpoint, client_id="a") as controller:
            (listed,) = controller.connect(resume=Resume(run_id=run_id, next_seq=0)).runs
            assert listed == run


def test_a_client_that_claims_records_nobody_wrote_is_refused(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=3)
    with Controller(edge.endpoint, client_id="a") as controller:
        controller.connect()
        run_id = controller.start_run()
        assert edge.run.written.wait(5)
        with pytest.raises(StreamError, match=r"refused \(other_history\).*up to seq 98"):
            controller.connect(resume=Resume(run_id=run_id, next_seq=99))


def test_a_dead_port_is_reported_in_time() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with Controller(endpoint) as controller, pytest.raises(StreamError, match=r"no edge answered at .* within 0.3 s"):
            controller.connect(timeout_s=0.3)


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "tcp://", "tcp://127.0.0.1:http", "udp://127.0.0.1:5570", "tcp://127.0.0.1:99999"]
)
def test_an_address_that_is_none_is_said_to_be_none(endpoint: str) -> None:
    with pytest.raises(StreamError, match=r"not an address.*tcp://127\.0\.0\.1:5570"):
        Controller(endpoint)


def test_a_command_whose_answer_was_lost_is_repeated_and_done_once(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(silent_after_s=60))
    cable = Cable(edge.endpoint)
    command = RunStartCommand(cmd_id="c1", run_id="r1")
    try:
        with Controller(cable.endpoint, settings=QUICK) as controller:
            controller.connect()
            assert isinstance(controller.command(command), Accepted)
            cable.cut()
            assert controller.command(command) == Accepted(cmd_id="c1")
    finally:
        cable.close()
    assert edge.run.written.wait(5)
    assert edge.journal.runs() == ["r1"]
