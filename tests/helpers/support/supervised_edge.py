"""A service in a process of its own, with a made-up camera and engine that hang or crash where a file tells them to, and what
watches over it: as systemd does, it starts it again whenever it has ended, and ends it when it hears no heartbeat any more."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chaos.faulty_camera import BUNDLE, MadeUpEngine
from support.served_run import PlainCamera

from edge.camera.frame import Frame
from edge.contracts.detections import RawDetections
from edge.pipeline import Parts, StopSwitch
from edge.pipeline.field_work import plan_for
from edge.service import heartbeat
from edge.service.heartbeat import HEARTBEAT
from edge.service.process import set_up_logging
from edge.service.serve_runs import serve_runs
from edge.settings import EdgeSettings, Setup
from edge.stream.exchange import Exchange

_HELPERS = Path(__file__).parents[1]
WATCHDOG_S = 3.0
PLACES = ("opening", "camera", "engine", "stream", "idle")


def misbehave(fault: Path, place: str) -> None:
    """Does what the file says if it is for this place: `hang`, `hold` the interpreter, `crash` or `abort`; once."""
    with suppress(OSError):
        where, how = fault.read_text().split()
        if where != place:
            return
        fault.unlink()
        if how == "hang":
            time.sleep(3600)
        if how == "hold":
            ctypes.PyDLL(None).sleep(3600)
        if how == "abort":
            os.abort()
        raise RuntimeError("a defect, as a test asked for one")


class Camera(PlainCamera):
    """A triggered camera."""

    def __init__(self, fault: Path) -> None:
        super().__init__()
        self._fault = fault

    def read(self, timeout_s: float) -> Frame:
        found = super().read(timeout_s)
        misbehave(self._fault, "camera")
        return found


class Engine(MadeUpEngine):
    """What computes."""

    def __init__(self, fault: Path) -> None:
        super().__init__(1)
        self._fault = fault

    def collect(self, index: int) -> RawDetections:
        misbehave(self._fault, "engine")
        return super().collect(index)

    def keep_warm(self) -> None:
        misbehave(self._fault, "idle")


def serve(endpoint: str, journal: Path, fault: Path) -> None:
    """The process."""
    heartbeat.OPENING_S = WATCHDOG_S
    set_up_logging("info")
    settings = {"source": "made-up:", "bind": endpoint, "journal": journal, "ack_timeout_s": 1.0, "source_timeout_s": 2.0}
    tick = Exchange.tick

    def ticking(self: Exchange, now_ns: int) -> Any:  # noqa: ANN401 as it is
        misbehave(fault, "stream")
        return tick(self, now_ns)

    Exchange.tick = ticking  # type: ignore[method-assign]

    @contextmanager
    def parts(setup: Setup) -> Iterator[Parts]:
        misbehave(fault, "opening")
        camera = Camera(fault)
        yield Parts(camera, Engine(fault), plan_for(camera.info, BUNDLE))

    def reach() -> EdgeSettings:
        return EdgeSettings.model_validate(settings | {"watchdog_s": WATCHDOG_S})

    from edge.service import station

    station.marks_of = lambda setup: ()
    with HEARTBEAT.during(WATCHDOG_S, os.environ):
        serve_runs(lambda: Setup(reach(), BUNDLE), reach, StopSwitch(), opened_parts=parts)


class Supervisor:
    """Starts the process and starts it again whenever it has ended; kills it when its heartbeat is missing."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.fault = folder / "fault"
        self.journal = folder / "journal.sqlite"
        self.log = folder / "log"
        self.starts = 0
        self._endpoint, self._notify = endpoint, str(folder / "notify")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor")
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Supervisor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def order(self, place: str, how: str) -> None:
        """The next time that the process comes there it does so."""
        part = self.fault.with_suffix(".part")
        part.write_text(f"{place} {how}")
        part.replace(self.fault)

    def _supervise(self) -> None:
        command = [sys.executable, "-m", "support.supervised_edge", self._endpoint, str(self.journal), str(self.fault)]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard, self.log.open("ab") as log:
            heard.bind(self._notify)
            heard.settimeout(0.1)
            while not self._stop.is_set():
                self.starts += 1
                self.process = subprocess.Popen(
                    command, cwd=_HELPERS, stderr=log, env={**os.environ, "NOTIFY_SOCKET": self._notify}
                )
                self._until_it_ends(self.process, heard)
            self.process.kill()
            self.process.wait()

    def _until_it_ends(self, process: "subprocess.Popen[bytes]", heard: socket.socket) -> None:
        heard_s, limit_s = time.monotonic(), 120.0  # an interpreter on a busy machine takes its time to start
        while process.poll() is None and not self._stop.is_set():
            with suppress(TimeoutError):
                words = heard.recv(4096).decode()
                if "WATCHDOG=1" in words:
                    heard_s, limit_s = time.monotonic(), 2.5 * WATCHDOG_S
            if time.monotonic() - heard_s > limit_s:
                process.send_signal(signal.SIGKILL)
                process.wait()


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
