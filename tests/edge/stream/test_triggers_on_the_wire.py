"""Triggers over a real socket, through a real run with stand-ins for camera and engine: credit both ways, advice, limits."""

import json
import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.stand_ins import HEIGHT_PX, WIDTH_PX, frame_of
from support.wire import RawClient

from edge.camera.frame import Frame, SourceBase, SourceInfo, SourceTimeout, Trigger
from edge.contracts.messages import Accepted, Rejected, RunStartCommand, TriggerCommand
from edge.contracts.records import Advice, FieldRecord, FieldStatus, Record, RunStop
from edge.journal.base import Journal
from edge.journal.interrupted import end_interrupted
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline.exposures import Exposures
from edge.pipeline.field_work import FieldJob
from edge.pipeline.intake import AdviceNote
from edge.pipeline.run_account import RunAccount
from edge.pipeline.run_control import Backlog, StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.pipeline.trigger_desk import TriggerDesk
from edge.stream.client import Controller
from edge.stream.server import EdgeServer
from edge.stream.settings import ClientSettings, StreamSettings

from support.scripted_run import run_start  # isort: skip

WINDOW = 4
"""Open triggers the edge allows."""


@dataclass
class Camera(SourceBase):
    """Exposes a trigger once the test lets it."""

    info: SourceInfo = field(default_factory=lambda: SourceInfo("test:", WIDTH_PX, HEIGHT_PX, 0.13, None, self_paced=False))
    may: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waiting: list[Trigger] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def expect(self, trigger: Trigger) -> None:
        self.waiting.append(trigger)

    def give_up(self, trigger_id: str) -> None:
        pass

    def read(self, timeout_s: float) -> Frame:
        if self.waiting and self.may.acquire(timeout=timeout_s):
            trigger = self.waiting.pop(0)
            return frame_of(int(trigger.trigger_id[1:]))
        raise SourceTimeout("nothing")

    def close(self) -> None:
        pass


class TriggeredRun:
    """An edge whose run waits for triggers; no engine, every frame that comes is an empty field."""

    def __init__(self, journal: Journal, pause_after: int = 1000, settings: StreamSettings | None = None) -> None:
        self.journal, self.stop, self.camera = journal, StopSwitch(), Camera()
        self.desk = TriggerDesk(journal, WINDOW)
        self.control = RunOrders(self.stop, journal, lambda: self.desk)
        self.advice: list[AdviceNote] = []
        self.backlog = Backlog(pause_after, self.advice.append, self.desk.hold)
        self.server = EdgeServer("tcp://127.0.0.1:0", journal, self.control, "boot", settings).start()
        self._thread = threading.Thread(target=self._perform, name="triggered-run")
        self._thread.start()

    def close(self) -> None:
        self.stop.stop("the test is over")
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.server.close(drain_s=0)

    def _perform(self) -> None:
        while (accepted := self.control.wait_for_start(0.02)) is None:
            if self.stop.requested:
                return
        order = accepted.order
        recorder = RunAccount(order.run_id, self.desk.ledger)
        recorder._next_seq = 1
        self._append(run_start(order.run_id).model_copy(update={"cmd_id": order.cmd_id}))
        self.control.running(accepted, self.desk.ledger, self.backlog)
        self.desk.begin()
        exposures = Exposures(self.camera, self.desk, timeout_s=30)
        while not self.stop.requested:
            while self.advice:
                self._append(recorder.advice(self.advice.pop(0)))
            try:
                job = FieldJob(exposures.read(0.02))
            except SourceTimeout:
                continue
            job.end(FieldStatus.EMPTY)
            self._append(recorder.field(job))

    def _append(self, record: Record) -> None:
        self.journal.append(record)
        self.control.waiting(record.run_id, record.seq - self.journal.acknowledged(record.run_id))


Start = Callable[..., TriggeredRun]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[TriggeredRun] = []

    def start_(journal: Journal | None = None, **more: object) -> TriggeredRun:
        started.append(TriggeredRun(journal or MemoryJournal(), **more))  # type: ignore[arg-type]
        return started[-1]

    yield start_
    for edge in started:
        edge.close()


def announced(controller: Controller, run_id: str, index: int) -> Accepted | Rejected:
    command = TriggerCommand(cmd_id=str(uuid.uuid4()), run_id=run_id, trigger_id=f"t{index}", field_index=index)
    answer = controller.command(command)
    assert isinstance(answer, Accepted | Rejected)
    return answer


def next_field(controller: Controller) -> FieldRecord:
    for _ in range(100):
        record = controller.poll(0.1)
        if isinstance(record, FieldRecord):
            return record
    raise AssertionError("no field came")


def test_a_slow_edge_holds_the_scanner_back_and_says_when_it_may_go_on(start: Start) -> None:
    edge = start()
    with Controller(edge.server.endpoint) as controller:
        controller.connect()
        run_id = controller.start_run()
        assert controller.trigger_until[run_id] == WINDOW
        assert all(isinstance(announced(controller, run_id, index), Accepted) for index in range(WINDOW))
        refused = announced(controller, run_id, WINDOW)
        assert isinstance(refused, Rejected)
        assert refused.code == "credit"
        edge.camera.may.release(2)
        assert [next_field(controller).field_index for _ in range(2)] == [0, 1]
        while controller.trigger_until[run_id] < WINDOW + 2:
            assert controller.poll(1.0) is None, "only CREDIT is due"
        assert isinstance(announced(controller, run_id, WINDOW), Accepted)


def test_a_controller_that_comes_back_learns_its_open_triggers_and_its_credit(start: Start) -> None:
    edge = start()
    with Controller(edge.server.endpoint, client_id="scanner") as controller:
        controller.connect()
        run_id = controller.start_run()
        announced(controller, run_id, 0)
        announced(controller, run_id, 1)
    with Controller(edge.server.endpoint, client_id="scanner") as controller:
        (run,) = controller.connect().runs
        assert (run.open_trigger_ids, run.open_triggers, run.trigger_until) == (("t0", "t1"), 2, WINDOW)
        again = TriggerCommand(cmd_id="another", run_id=run_id, trigger_id="t1", field_index=1)
        answer = controller.command(again)
        assert isinstance(answer, Rejected)
        assert answer.code == "duplicate_trigger"


def test_a_controller_that_acknowledges_nothing_is_advised_to_pause_and_gets_no_credit(start: Start) -> None:
    edge = start(pause_after=3)
    with Controller(edge.server.endpoint, settings=ClientSettings(window=100)) as controller:
        controller.connect()
        run_id = controller.start_run()
        edge.camera.may.release(100)
        for index in range(WINDOW):
            announced(controller, run_id, index)
        while not any(b'"advice":"pause"' in content for _, content in edge.journal.read(run_id, 0, 100)):
            assert not edge.stop.requested
        held = edge.desk.trigger_until
        assert held < 2 * WINDOW, "what ended after the pause gave nothing"
        kinds: list[str] = []
        while "resume" not in kinds:  # reading acknowledges
            record = controller.poll(0.2)
            kinds += [record.advice] if isinstance(record, Advice) else []
        assert kinds == ["pause", "resume"]
        while controller.trigger_until[run_id] == held:
            controller.poll(0.2)
        assert controller.trigger_until[run_id] == 2 * WINDOW


def test_commands_get_the_same_answer_from_the_edge_that_follows_a_killed_one(start: Start, tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    first = start(journal)
    order = RunStartCommand(cmd_id="c-run", run_id="r")
    trigger = TriggerCommand(cmd_id="c-t0", run_id="r", trigger_id="t0", field_index=0)
    with Controller(first.server.endpoint) as controller:
        controller.connect()
        assert isinstance(controller.command(order), Accepted)
        assert isinstance(controller.command(trigger), Accepted)
    first.close()  # without run_stop, as after a kill
    journal.close()
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    assert end_interrupted(journal, "2030-01-02T03:04:05Z") == ["r"]
    second = start(journal)
    with Controller(second.server.endpoint) as controller:
        controller.connect()
        assert isinstance(controller.command(order), Accepted)
        assert isinstance(controller.command(trigger), Accepted)
        late = controller.command(trigger.model_copy(update={"cmd_id": "c-t1", "trigger_id": "t1", "field_index": 1}))
        assert isinstance(late, Rejected)
        assert "has ended; start a new one" in late.reason
        *_, field_, stop = controller.records("r")
    assert isinstance(field_, FieldRecord)
    assert isinstance(stop, RunStop)
    assert (field_.trigger_id, field_.status, field_.counted) == ("t0", FieldStatus.LOST, False)
    assert (stop.outcome.value, stop.triggers, stop.fields, stop.sums_match) == ("interrupted", 1, {FieldStatus.LOST: 1}, True)
    second.close()
    journal.close()


def test_a_client_that_sends_too_much_is_told_so_once_a_second_and_others_are_served(start: Start) -> None:
    edge = start(settings=StreamSettings(messages_per_s=5))
    with RawClient(edge.server.endpoint) as wild, Controller(edge.server.endpoint) as controller:
        controller.connect()
        wild.hello("wild", role="observer")
        began_s, answers = time.monotonic(), Counter[str]()
        for nonce in range(300):
            wild.send(type="PING", nonce=str(nonce), t_ns="0")
        while wild.socket.poll(100) or answers["PONG"] + edge.server.rejects["rate"] < 300:
            if wild.socket.poll(0):
                answers[json.loads(wild.socket.recv())["type"]] += 1
        told_at_most = 1 + math.floor(time.monotonic() - began_s)
        assert answers["PONG"] + edge.server.rejects["rate"] == 300, "each was answered or dropped, and counted"
        assert 1 <= answers["REJECT"] <= told_at_most
        run_id = controller.start_run()
        assert isinstance(announced(controller, run_id, 0), Accepted)


def test_there_is_always_room_for_the_controller(start: Start) -> None:
    edge = start(settings=StreamSettings(max_sessions=2))
    with RawClient(edge.server.endpoint) as one, RawClient(edge.server.endpoint) as two:
        assert [each.hello(name, role="observer")["type"] for each, name in ((one, "1"), (two, "2"))] == ["WELCOME"] * 2
        with RawClient(edge.server.endpoint) as three, Controller(edge.server.endpoint) as controller:
            refused = three.hello("3", role="observer")
            assert (refused["type"], refused["code"]) == ("REJECT", "busy")
            controller.connect()
