"""The service's sign of life: what systemd hears, when it hears nothing any more, and that a stuck process ends as a whole."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.service.heartbeat import OPENING_S, Heartbeat, Progress

pytestmark = pytest.mark.timeout(60)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def listener(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        heard.setblocking(False)
        yield heard


def heard_by(systemd: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(systemd.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_what_systemd_hears_from_start_to_stop(kind: str, tmp_path: Path) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@leukostream-{os.getpid()}"
    clock = Clock()
    heart = Heartbeat(clock)
    with listener(address) as systemd:
        heart.begin(60, {"NOTIFY_SOCKET": address})
        try:
            opening = f"WATCHDOG=1\nWATCHDOG_USEC={int(OPENING_S * 1.5e6)}"
            assert heard_by(systemd) == [opening]
            heart.tells("BOOT", "opening")
            heart.tells("FAULT", "the camera\nis gone.")
            assert heard_by(systemd) == ["STATUS=BOOT: opening", "READY=1", "STATUS=FAULT: the camera is gone."]
            heart.tells("READY", "")
            heart.beat()
            assert heard_by(systemd) == ["STATUS=READY", "WATCHDOG=1\nWATCHDOG_USEC=90000000"]
            for step_s in (1, 1, 14, 1):
                clock.now_s += step_s
                heart.beat()
            assert heard_by(systemd) == ["WATCHDOG=1"], "four times as often as it is due, and no more"
            heart.stuck("the source does not return")
            clock.now_s += 100
            heart.beat()
            assert heard_by(systemd) == ["STATUS=stuck: the source does not return"], "and never again"
        finally:
            heart.end()
        assert heard_by(systemd) == ["STOPPING=1"]


def test_who_does_not_listen_is_not_waited_for(tmp_path: Path) -> None:
    heart = Heartbeat()
    heart.beat()
    heart.tells("READY", "")
    heart.begin(60, {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    heart.tells("READY", "")
    heart.end()
    heart.end()


def test_progress_is_a_record_or_nothing_that_is_due() -> None:
    clock, due = Clock(), [True]
    progress = Progress(20, lambda: due[0], clock)
    clock.now_s += 19
    assert progress.lacking() == ""
    progress.made()
    clock.now_s += 19
    assert progress.lacking() == ""
    clock.now_s += 2
    assert "no record for 21 s" in progress.lacking()
    due[0] = False
    assert progress.lacking() == ""
    due[0] = True
    clock.now_s += 19
    assert progress.lacking() == "", "it is due since it was announced"


@pytest.mark.parametrize(
    ("hang", "why"),
    [
        pytest.param("time.sleep(3600)", "a main thread that waits", id="main thread"),
        pytest.param(
            "exec('while True: heart.stuck(\"x\") or heart.beat()')", "no beat after stuck", id="a part was abandoned"
        ),
        pytest.param(
            "import ctypes; ctypes.PyDLL(None).sleep(3600)", "a driver that holds the interpreter's lock", id="held interpreter"
        ),
    ],
)
def test_a_stuck_process_ends_itself_and_says_where(hang: str, why: str) -> None:
    lines = ("import time", "from edge.service.heartbeat import Heartbeat", "heart = Heartbeat()", "heart.begin(0.5)")
    script = "\n".join((*lines, "heart.beat()", hang))
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 1, why
    assert "Timeout" in done.stderr and 'File "<string>", line' in done.stderr
    assert time.monotonic() - began_s < 45
