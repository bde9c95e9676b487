"""A service in a thread: the real main function, journal, stream, pages; a made-up camera and engine that can be taken away."""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from chaos.faulty_camera import BUNDLE, MadeUpEngine
from support.ports import free_endpoint
from support.served_run import PlainCamera

from edge.contracts.errors import LeukoError, SourceError, StreamError
from edge.contracts.messages import State
from edge.contracts.records import FieldRecord, Record, RunOutcome, RunStop
from edge.pipeline import Parts, StopSwitch
from edge.pipeline.field_work import plan_for
from edge.service import station
from edge.service.serve_runs import serve_runs
from edge.settings import EdgeSettings, Setup
from edge.stream.client import Controller
from edge.stream.settings import ClientSettings

WITHIN_S = 40.0


class PluggedCamera(PlainCamera):
    """A triggered camera on a cable that a test pulls out: between runs it says so, in a run its fields are lost with it."""

    def __init__(self) -> None:
        super().__init__()
        self.unplugged = False

    def look_after(self) -> None:
        if self.unplugged:
            raise SourceError("camera plain: was lost (no answer) and is looked for; check its cable and power.")

    def read(self, timeout_s: float) -> Any:  # noqa: ANN401 as above
        if self.unplugged:
            raise SourceError("camera plain: was lost (no answer) and did not come back; check it.")
        return super().read(timeout_s)


@dataclass
class Bench:
    """What a test can take away and give back."""

    settings: dict[str, object]
    camera: Any = field(default_factory=PluggedCamera)
    wrong: LeukoError | None = None
    """what opening camera and engine fails with"""
    opened: int = 0
    told_open: int = 0
    """how often it was said that all that was opened is open, each time before the service is ready"""
    engine_wrong: bool = False
    """whether the open engine fails between runs"""

    def resolve(self) -> Setup:
        return Setup(EdgeSettings.model_validate(self.settings), BUNDLE)

    def reach(self) -> EdgeSettings:
        return EdgeSettings.model_validate(self.settings)

    def all_open(self) -> None:
        self.told_open += 1

    @contextmanager
    def parts(self, setup: Setup) -> Iterator[Parts]:
        if self.wrong is not None:
            raise self.wrong
        if getattr(self.camera, "unplugged", False):
            raise SourceError("camera plain: is not there; check its cable and power.")
        self.opened += 1
        yield Parts(self.camera, FailingEngine(self), plan_for(self.camera.info, BUNDLE))


class FailingEngine(MadeUpEngine):
    """Fails between runs when its bench says so."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(1)
        self._bench = bench

    def keep_warm(self) -> None:
        if self._bench.engine_wrong and self._bench.wrong is not None:
            raise self._bench.wrong


def until_state(controller: Controller, state: str, reason: str, within_s: float) -> State:
    """Ask the service over the socket until it stands there, and its reason has these words."""
    until_s, said = time.monotonic() + within_s, None
    while time.monotonic() < until_s:
        said = controller.query(timeout_s=within_s)
        if said.service_state == state and reason in (said.service_reason or ""):
            return said
        time.sleep(0.02)
    raise AssertionError(f"it is not {state} ({reason}) but {said and (said.service_state, said.service_reason)}")


class ServiceHere:
    """A service that goes on, its controller, and what the test does to it."""

    def __init__(self, bench: Bench, stop: StopSwitch) -> None:
        self.bench, self.stop = bench, stop
        self.endpoint = str(bench.settings["bind"])
        self.controller = Controller(self.endpoint, client_id="scanner", settings=ClientSettings(reconnect_s=WITHIN_S))

    def page(self, path: str) -> tuple[int, dict[str, str]]:
        """Status and content of /healthz or /readyz."""
        try:
            with urllib.request.urlopen(f"http://{self.bench.settings['metrics']}{path}", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def until(self, state: str, reason: str = "") -> State:
        return until_state(self.controller, state, reason, WITHIN_S)

    def run(self, n_fields: int = 3, **more: Any) -> list[Record]:  # noqa: ANN401 as start_run has them
        """A whole run of triggered fields; its records."""
        run_id = self.controller.start_run(timeout_s=WITHIN_S, **more)
        for index in range(n_fields):
            self.controller.trigger(run_id, f"{run_id}-{index}", index, timeout_s=WITHIN_S)
        self.controller.stop_run(run_id, timeout_s=WITHIN_S)
        return list(self.controller.records(run_id))


def refused_with(here: ServiceHere, words: str) -> None:
    """It stands in FAULT everywhere, and a run is refused with what is said there."""
    assert words in (here.until("FAULT", words).service_reason or "")
    status, content = here.page("/healthz")
    assert (status, content["state"]) == (200, "FAULT") and words in content["reason"]
    assert here.page("/readyz")[0] == 503
    with pytest.raises(StreamError, match=r"refused \(state\)") as refused:
        here.controller.start_run(timeout_s=WITHIN_S)
    assert words in str(refused.value)
    assert words in (here.controller.connect(WITHIN_S).service_reason or ""), "and in WELCOME"


def whole(here: ServiceHere) -> str:
    """A run of two fields that ends as it should; its name."""
    here.until("READY")
    records = here.run(2)
    assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.STOPPED
    assert [record.status.value for record in records if isinstance(record, FieldRecord)] == ["ok", "ok"]
    return records[-1].run_id


def still_read(here: ServiceHere, run_id: str) -> None:
    here.controller.connect(WITHIN_S)
    assert [record.seq for record in here.controller.records(run_id, from_seq=0)] == list(range(4))


Real = Callable[[dict[str, object]], tuple[Callable[[], Setup], Callable[[], EdgeSettings]]]
"""From what is stated on the command line: how all settings are read, and as many as can be had."""


@contextmanager
def service(
    monkeypatch: pytest.MonkeyPatch,
    bench: Bench | None = None,
    journal: Path | str = "memory",
    real: Real | None = None,
    **more: object,
) -> Iterator[ServiceHere]:
    """A service whose controller is connected; ended at the end, and nothing of it is left. With `real` its settings, camera
    and engine are."""
    monkeypatch.setattr(station, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(station, "LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(station, "LOOK_S", 0.05)
    if real is None:
        monkeypatch.setattr(station, "marks_of", lambda setup: ())
    bench = bench or Bench({})
    known: dict[str, object] = {
        "source": "made-up:",
        "bind": free_endpoint(),
        "metrics": free_endpoint().removeprefix("tcp://"),
        "journal": journal,
        "ack_timeout_s": 1.0,
    }
    bench.settings = known | bench.settings | more
    stop, here, ended = StopSwitch(), ServiceHere(bench, StopSwitch()), list[BaseException]()
    here.stop = stop

    def serve() -> None:
        try:
            if real is None:
                serve_runs(bench.resolve, bench.reach, stop, opened_parts=bench.parts, all_open=bench.all_open)
            else:
                serve_runs(*real({name: bench.settings[name] for name in ("bind", "metrics")}), stop)
        except BaseException as problem:  # noqa: BLE001 the test is told below
            ended.append(problem)

    thread = threading.Thread(target=serve, name="service-here")
    thread.start()
    try:
        with here.controller:
            here.controller.connect(WITHIN_S)
            yield here
    finally:
        stop.abort("the test is over")
        thread.join(WITHIN_S)
        assert not thread.is_alive()
    assert not ended, ended
