"""A whole edge in a thread: the real main function, journal, stream and client, with a made-up camera and engine."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from chaos.faulty_camera import BUNDLE, MadeUpEngine
from support.ports import free_endpoint

from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo, SourceTimeout, Trigger
from edge.contracts.errors import StreamError
from edge.contracts.records import Record, RunOutcome, RunStop
from edge.pipeline import Parts, StopSwitch
from edge.pipeline.field_work import plan_for
from edge.service.serve import serve_one_run
from edge.settings import EdgeSettings, Setup
from edge.stream.client import Controller
from edge.stream.settings import ClientSettings

_SIDE_PX, _UM_PER_PX = 64, 0.26


def frame(trigger_id: str, index: int, n_cells: int = 1) -> Frame:
    """A field that shows so many neutrophils."""
    image = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.uint8)
    image[0, 0, :2] = 0, n_cells
    now_ns = time.monotonic_ns()
    return Frame(trigger_id, index, "ok", image, _UM_PER_PX, now_ns, now_ns, frame_id=index)


class PlainCamera(SourceBase):
    """A triggered source; `silent` names the field indices that give no frame, `cells` how many cells a field shows (1)."""

    def __init__(self, silent: Callable[[int], bool] = lambda _: False, at_once: int = 1) -> None:
        super().__init__()
        self.info = SourceInfo("plain:", _SIDE_PX, _SIDE_PX, _UM_PER_PX, None, self_paced=False, exposures_at_once=at_once)
        self.cells: dict[int, int] = {}
        self._silent, self._frames = silent, list[Frame]()

    def expect(self, trigger: Trigger) -> None:
        if not self._silent(trigger.field_index):
            self._frames.append(frame(trigger.trigger_id, trigger.field_index, self.cells.get(trigger.field_index, 1)))

    def give_up(self, trigger_id: str) -> None: ...

    def read(self, timeout_s: float) -> Frame:
        if self._frames:
            return self._count(self._frames.pop(0))
        time.sleep(min(timeout_s, 0.005))
        raise SourceTimeout("nothing")

    def close(self) -> None: ...


class Conveyor(SourceBase):
    """A source that paces itself: `n` fields, one for each `go`; live, or waiting to be read."""

    def __init__(self, n: int, *, live: bool) -> None:
        super().__init__()
        self.info = SourceInfo("conveyor:", _SIDE_PX, _SIDE_PX, _UM_PER_PX, None, self_paced=True, is_live=live)
        self.go = threading.Semaphore(0)
        self.given = 0
        self._n = n

    def read(self, timeout_s: float) -> Frame:
        if self.given >= self._n:
            raise SourceEnded
        if not self.go.acquire(timeout=min(timeout_s, 0.05)):
            raise SourceTimeout("nothing")
        self.given += 1
        return self._count(frame(f"f{self.given - 1}", self.given - 1))

    def close(self) -> None: ...


class Served:
    """An edge that waits for its controller, and what the test does to it."""

    def __init__(self, endpoint: str, stop: StopSwitch, controller: Controller) -> None:
        self.endpoint, self.stop, self.controller = endpoint, stop, controller
        self.outcome: RunOutcome | None = None

    def announce(self, run_id: str, *indices: int, replaces: str | None = None) -> None:
        for index in indices:
            self.controller.trigger(run_id, f"t{index}", index, timeout_s=20, replaces=replaces)

    def until(self, enough: Callable[[Record], bool], within_s: float = 30.0) -> list[Record]:
        """Records up to the first that is enough."""
        found, until_s = list[Record](), time.monotonic() + within_s
        while time.monotonic() < until_s:
            record = self.controller.poll(0.05)
            if record is not None:
                found.append(record)
                if enough(record):
                    return found
        raise AssertionError(f"what was waited for did not come; {[each.type for each in found]} did")

    def to_the_end(self, before_it_leaves: Callable[[], object] = lambda: None) -> tuple[RunStop, list[Record]]:
        """Every record to the last, and what is done before the edge may end."""
        records = self.until(lambda record: isinstance(record, RunStop))
        before_it_leaves()
        with suppress(StreamError):  # the edge may be gone before this returns
            self.controller.poll(0.0)  # says that the last one is safe
        return cast("RunStop", records[-1]), records


@contextmanager
def served(source: Any, journal: Path | str = "memory", **more: object) -> Iterator[Served]:  # noqa: ANN401 any kind of source
    """An edge over `source`, its controller connected; ended, and its thread joined, at the end."""
    endpoint, stop = free_endpoint(), StopSwitch()
    known: dict[str, object] = {"source": "made-up:", "bind": endpoint, "journal": journal, "ack_timeout_s": 1.0}
    settings = EdgeSettings.model_validate(known | more)
    parts = Parts(source, MadeUpEngine(1), plan_for(source.info, BUNDLE))
    controller = Controller(endpoint, client_id="scanner", settings=ClientSettings(reconnect_s=1.0))
    edge = Served(endpoint, stop, controller)

    def serve() -> None:
        with suppress(StreamError):  # a test may leave before it has acknowledged the last record
            edge.outcome = serve_one_run(Setup(settings, BUNDLE), parts, stop)

    thread = threading.Thread(target=serve, name="served-edge")
    thread.start()
    try:
        with controller:
            controller.connect(20)
            yield edge
    finally:
        stop.abort("the test is over")
        thread.join(20)
        assert not thread.is_alive()
