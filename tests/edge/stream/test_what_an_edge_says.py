"""REJECT names what it answers; WELCOME, QUERY and REJECT `ending` say what the edge is, holds, and how it is."""

import json
import threading
from pathlib import Path
from typing import Any

import msgpack
import pytest
from support.scripted_run import ScriptedRun, StartEdge, field_record, run_start, run_stop
from support.wire import RawClient

from edge.contracts.about_edge import EdgeInfo, EdgeLimits, Finding, Health
from edge.contracts.errors import StreamError
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.service.self_report import temperatures_c
from edge.stream.client import Controller
from edge.stream.inquiries import SelfReport
from edge.stream.refusals import named_by
from edge.stream.server import EdgeServer
from edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(30)
HEALTH = Health(t_ns=1, uptime_s=1.0, journal="memory", engine="stand-in", phase="waiting", temperature_c={"cpu": 41.5})
INFO = EdgeInfo(
    bundle_id="a" * 64,
    bundle_name="b",
    bundle_trained=True,
    engine="stand-in",
    engine_precision="none",
    source="stand-in",
    paced_by="itself",
    um_per_px=0.1,
    frame_width_px=8,
    frame_height_px=8,
    is_synthetic=True,
    capabilities=("RUN_START", "query:health"),
    limits=EdgeLimits(message_bytes=65536, messages_per_s=10_000, silent_after_s=5.0),
)


@pytest.mark.parametrize(
    ("message", "code", "named"),
    [
        pytest.param({"type": "RUN_STOP", "cmd_id": "c"}, "malformed", {"cmd_id": "c"}, id="a command without a key"),
        pytest.param({"type": "ABORT_ALL", "cmd_id": "c"}, "unknown_type", {"cmd_id": "c"}, id="a command of another version"),
        pytest.param(
            {"type": "ACK", "run_id": "r", "upto_seq": 7, "send_until_seq": 9},
            "unknown_run",
            {"run_id": "r", "upto_seq": 7},
            id="an ACK for a run that nobody has",
        ),
        pytest.param(
            {"type": "ACK", "run_id": "held", "upto_seq": 7, "send_until_seq": 9},
            "state",
            {"run_id": "held", "upto_seq": 7, "next_seq": 2},
            id="an ACK ahead of its run",
        ),
        pytest.param({"type": "ACK", "run_id": "r", "upto_seq": "7"}, "malformed", {"run_id": "r"}, id="an ACK with text"),
        pytest.param({"type": "QUERY", "cmd_id": 7}, "malformed", {}, id="a cmd_id that is none"),
        pytest.param(
            {"type": "HELLO", "client_id": "raw", "resume": {"run_id": "gone", "next_seq": 1}},
            "unknown_run",
            {"run_id": "gone"},
            id="a resume",
        ),
    ],
)
def test_a_reject_names_what_it_answers(
    start_edge: StartEdge, message: dict[str, Any], code: str, named: dict[str, object]
) -> None:
    edge = start_edge()
    edge.journal.append(run_start("held"))
    edge.journal.append(field_record("held", 1))
    with RawClient(edge.endpoint) as client:
        client.hello()
        answer = client.ask(**message)
        keys = {
            key: answer[key] for key in ("cmd_id", "run_id", "upto_seq", "first_seq", "next_seq") if answer[key] is not None
        }
        assert (answer["code"], answer["refused_type"], keys) == (code, message["type"], named)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([], id="no part"),
        pytest.param([b'{"type":"PING"}', b""], id="two parts"),
        pytest.param([b"{"], id="no JSON"),
        pytest.param([b"\xc1"], id="no MessagePack"),
        pytest.param([b"[" * 3000], id="nested"),
        pytest.param([b'{"a":' * 3000], id="nested objects"),
        pytest.param([msgpack.packb({"type": b"PING"})], id="binary"),
        pytest.param([b'{"type":"\\ud83e"}'], id="half a character"),
        pytest.param([b'{"type":"' + b"x" * 200 + b'"}'], id="a type without end"),
    ],
)
def test_what_cannot_be_read_is_not_named(parts: list[bytes]) -> None:
    assert named_by(parts) == {}


def test_the_message_that_was_too_many_is_named(start_edge: StartEdge) -> None:
    edge = start_edge(settings=StreamSettings(messages_per_s=2))
    with RawClient(edge.endpoint) as client:
        client.hello()
        for number in range(9):
            client.send(type="QUERY", cmd_id=f"q{number}")
        answers = [client.receive()]
        while answers[-1]["type"] != "REJECT":
            answers.append(client.receive())
        done = {answer["cmd_id"] for answer in answers[:-1]}
        assert answers[-1]["code"] == "rate" and answers[-1]["cmd_id"] not in done


def test_the_first_record_still_held_is_a_key(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=20, keep=5)
    with RawClient(edge.endpoint) as controller, RawClient(edge.endpoint) as late:
        controller.hello()
        controller.ask(type="RUN_START", cmd_id="1", run_id="r")
        assert edge.run.written.wait(5)
        controller.send(type="ACK", run_id="r", upto_seq=21, send_until_seq=21)
        (run,) = controller.ask(type="QUERY", cmd_id="2")["runs"]
        assert (run["first_seq"], run["acknowledged"], run["next_seq"]) == (17, 21, 22)
        late.hello("late", role="observer")
        told = late.ask(type="ACK", run_id="r", upto_seq=-1, send_until_seq=99)
        assert (told["code"], told["run_id"], told["first_seq"], told["next_seq"]) == ("unknown_run", "r", 17, 22)
        late.send(type="ACK", run_id="r", upto_seq=told["first_seq"] - 1, send_until_seq=99)
        assert late.receive()["seq"] == 17


def test_welcome_is_bounded_and_all_runs_can_be_asked_for() -> None:
    """A month of scans: the unfinished ones and the newest are listed, the rest comes in pages."""
    journal = MemoryJournal()
    for number in range(300):
        name = f"run-{number}"
        journal.append(run_start(name))
        if number not in {3, 150}:
            journal.append(run_stop(name, 1))
            journal.acknowledge(name, 1)
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot") as server,
        RawClient(server.endpoint) as client,
    ):
        welcome = client.hello()
        listed = [run["run_id"] for run in welcome["runs"]]
        assert welcome["runs_held"] == 300
        assert listed[:2] == ["run-3", "run-150"] and listed[-1] == "run-299" and len(listed) <= 64
        assert len(json.dumps(welcome)) < 20_000
        found: list[str] = []
        while page := client.ask(type="QUERY", cmd_id=str(len(found)), from_run=len(found))["runs"]:
            assert len(page) <= 64
            found += [run["run_id"] for run in page]
        assert found == [f"run-{number}" for number in range(300)]
        server.close(drain_s=0)


def test_the_fields_of_a_former_process_run_are_told(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=2)
    edge.journal.append(run_start("before"))
    edge.journal.append(run_stop("before", 1))
    with Controller(edge.endpoint) as controller:
        controller.connect()
        run_id = controller.start_run()
        list(controller.records())
        before = edge.journal.read("before", 1, 1)[0][1]
        told = controller.query("before")
        assert {status.value: n for status, n in told.fields.items()} == json.loads(before)["fields"]
        assert controller.query(run_id).fields == {}, "the scripted run has no ledger"


def test_an_edge_that_is_ending_says_so_and_how_far_it_was_acknowledged(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=1)
    with RawClient(edge.endpoint) as client, RawClient(edge.endpoint) as looker:
        client.hello()
        looker.hello("looker", role="observer")
        client.ask(type="RUN_START", cmd_id="1", run_id="r")
        assert edge.run.written.wait(5)
        closing = threading.Thread(target=edge.server.close, args=(20.0,))
        closing.start()
        assert client.ask(type="QUERY", cmd_id="2")["type"] == "STATE", "it waits for the last ACK"
        client.send(type="ACK", run_id="r", upto_seq=2, send_until_seq=2)
        for each in (client, looker):
            told = each.receive()
            assert (told["type"], told["code"], told["run_id"], told["upto_seq"]) == ("REJECT", "ending", "r", 2)
        closing.join(10)


def test_a_controller_that_polls_on_behind_run_stop_does_not_miss_the_edge(start_edge: StartEdge) -> None:
    edge = start_edge(n_fields=1)
    settings = ClientSettings(reconnect_s=1.0)
    with Controller(edge.endpoint, client_id="one", settings=settings) as controller:
        controller.connect()
        run_id = controller.start_run()
        seen: list[str] = []
        while "run_stop" not in seen:
            if (record := controller.poll(5.0)) is not None:
                seen.append(record.type)
        closing = threading.Thread(target=edge.server.close, args=(20.0,))
        closing.start()
        for _ in range(20):
            assert controller.poll(0.1) is None
        closing.join(10)
        assert not closing.is_alive() and edge.journal.acknowledged(run_id) == 2
        with pytest.raises(StreamError, match="could not be opened anew"):
            controller.query(run_id, timeout_s=3.0)


def test_nothing_is_said_where_records_wait(start_edge: StartEdge) -> None:
    """The silence sends the controller to the next process, which has the rest."""
    edge = start_edge(n_fields=1)
    with RawClient(edge.endpoint) as client:
        client.hello()
        client.ask(type="RUN_START", cmd_id="1", run_id="r")
        assert edge.run.written.wait(5)
        edge.server.close(drain_s=0)
        with pytest.raises(AssertionError, match="nothing came"):
            client.receive(0.2)


def _asked(report: SelfReport, *ask: str) -> dict[str, Any]:
    journal = MemoryJournal()
    run = ScriptedRun(journal, 1)
    with EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", report=report) as server:
        with RawClient(server.endpoint) as client:
            welcome = client.hello()
            assert welcome["edge"] == (None if report.info is None else json.loads(report.info.model_dump_json()))
            answer = client.ask(type="QUERY", cmd_id="q", ask=list(ask))
        server.close(drain_s=0)
    run.join()
    return answer


def _broken() -> Health:
    raise OSError(5, "Input/output error")


FINDINGS = (Finding(name="GPU", text="none", usable=False),)


@pytest.mark.parametrize(
    ("report", "ask", "told"),
    [
        pytest.param(SelfReport(INFO, lambda: HEALTH), ("health",), {"health": HEALTH, "doctor": None}, id="health"),
        pytest.param(
            SelfReport(INFO, lambda: HEALTH, lambda: FINDINGS),
            ("doctor", "health"),
            {"health": HEALTH, "doctor": FINDINGS},
            id="both",
        ),
        pytest.param(SelfReport(), (), {"health": None, "doctor": None}, id="nothing besides"),
        pytest.param(SelfReport(), ("health",), "unsupported", id="an edge that cannot tell"),
        pytest.param(SelfReport(INFO, lambda: HEALTH), ("health", "mood"), "unsupported", id="a word of a later version"),
        pytest.param(SelfReport(INFO, _broken), ("health",), "state", id="looking fails"),
    ],
)
def test_what_is_asked_for_is_told(report: SelfReport, ask: tuple[str, ...], told: "dict[str, object] | str") -> None:
    answer = _asked(report, *ask)
    if isinstance(told, str):
        assert (answer["type"], answer["cmd_id"], answer["code"]) == ("REJECTED", "q", told)
        return
    assert answer["type"] == "STATE"
    health = told["health"]
    assert answer["health"] == (json.loads(health.model_dump_json()) if isinstance(health, Health) else None)
    assert answer["doctor"] == (None if told["doctor"] is None else [{"name": "GPU", "text": "none", "usable": False}])


def test_whoever_looks_for_long_holds_nobody_up() -> None:
    looked = threading.Event()

    def slow() -> tuple[Finding, ...]:
        looked.wait(20)
        return FINDINGS

    journal = MemoryJournal()
    run = ScriptedRun(journal, 1)
    with EdgeServer("tcp://127.0.0.1:0", journal, run.control, "boot", report=SelfReport(None, None, slow)) as server:
        with RawClient(server.endpoint) as client:
            client.hello()
            for number in range(17):
                client.send(type="QUERY", cmd_id=f"slow-{number}", ask=["doctor"])
            refused = client.receive()
            assert (refused["cmd_id"], refused["code"]) == ("slow-16", "busy")
            assert client.ask(type="QUERY", cmd_id="quick")["cmd_id"] == "quick"
            looked.set()
            assert [client.receive()["cmd_id"] for _ in range(16)] == [f"slow-{number}" for number in range(16)]
        server.close(drain_s=0)
    run.join()


def test_temperatures_are_those_of_the_system(tmp_path: Path) -> None:
    files = {
        "thermal/thermal_zone0/type": "cpu-thermal\n",
        "thermal/thermal_zone0/temp": "41500\n",
        "thermal/thermal_zone1/type": "cpu-thermal\n",
        "thermal/thermal_zone1/temp": "-500\n",
        "thermal/thermal_zone2/type": "gpu-thermal\n",  # powered down: its file cannot be read
        "hwmon/hwmon0/name": "nvme\n",
        "hwmon/hwmon0/temp1_input": "38850\n",
        "hwmon/hwmon0/temp2_input": "no number\n",
        "hwmon/hwmon0/temp3_input": "50000\n",
        "hwmon/hwmon0/temp3_label": "Sensor 2\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert temperatures_c(tmp_path) == {"cpu-thermal": 41.5, "cpu-thermal#2": -0.5, "nvme": 38.85, "Sensor 2": 50.0}
    assert temperatures_c(tmp_path / "none") == {}
