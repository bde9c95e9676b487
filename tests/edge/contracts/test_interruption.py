"""Ctrl-C, SIGTERM and SIGHUP in a command that has no answer of its own, at every moment of its life."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60)
SIGNALS = pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        pytest.param(signal.SIGINT, 130, "", id="ctrl-c"),
        pytest.param(signal.SIGTERM, 143, "stopped: SIGTERM was received.\n", id="sigterm"),
        pytest.param(signal.SIGHUP, 129, "stopped: SIGHUP was received.\n", id="sighup"),
    ],
)
HEAD = """
import os, signal, sys, threading, time
from pathlib import Path
from edge.contracts.entry_point import run_command_line
"""
READY = "os.write(1, b'ready\\n')"
WAIT = f"{READY}; time.sleep(50)"


@contextmanager
def running(body: str, folder: Path, *, ready: bool = True) -> Iterator["subprocess.Popen[str]"]:
    """A command that does `body`, once it has said so."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    script = f"{HEAD}def command():\n{lines}run_command_line(command)"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        try:
            if ready:
                assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=40)
    return process.returncode, err


@pytest.mark.parametrize(
    ("body", "number"),
    [
        pytest.param(f"try: {WAIT}\nexcept Exception: pass", signal.SIGTERM, id="where failures are caught"),
        pytest.param(f"try: {WAIT}\nfinally: raise ValueError", signal.SIGTERM, id="a library makes something else of it"),
        pytest.param(f"{READY}; threading.Event().wait(50)", signal.SIGHUP, id="waiting for another thread"),
        pytest.param(f"{READY}\nwhile True: pass", signal.SIGHUP, id="counting"),
    ],
)
def test_a_signal_is_one_sentence_and_an_exit_code(tmp_path: Path, body: str, number: int) -> None:
    with running(body, tmp_path) as process:
        process.send_signal(number)
        assert ended(process) == (128 + number, f"stopped: {signal.Signals(number).name} was received.\n")


@SIGNALS
def test_what_is_half_done_is_undone(tmp_path: Path, number: int, code: int, says: str) -> None:
    body = f"Path('half').touch()\ntry: {WAIT}\nfinally: Path('half').unlink()"
    with running(body, tmp_path) as process:
        process.send_signal(number)
        assert ended(process) == (code, says)
    assert list(tmp_path.iterdir()) == []


SLOW = """
import os, time
os.write(1, b'ready\\n')
try:
    time.sleep(50)
except BaseException:
    os.write(2, b'caught by a library')
"""


@pytest.mark.parametrize(
    ("room", "number"),
    [("edge", signal.SIGINT), ("trainer", signal.SIGINT), ("builder", signal.SIGTERM), ("calib", signal.SIGHUP)],
)
def test_while_a_room_is_being_loaded_nothing_gets_in_the_way(tmp_path: Path, room: str, number: int) -> None:
    (tmp_path / "typer").mkdir()
    (tmp_path / "typer" / "__init__.py").write_text(SLOW)
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, '.'); from {room}.cli import main; main()"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        says = "" if number == signal.SIGINT else f"stopped: {signal.Signals(number).name} was received.\n"
        assert ended(process) == (128 + number, says)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_further_signal_ends_a_process_that_is_stuck(tmp_path: Path, number: int) -> None:
    """And signals that come with the first do not, as those of `timeout`."""
    body = f"try: {WAIT}\nfinally:\n  {READY}\n  time.sleep(0.1)\n  os.write(1, b'undone\\n'); time.sleep(50)"
    with running(body, tmp_path) as process:
        assert process.stdout is not None
        process.send_signal(number)
        process.send_signal(number)
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "undone\n"]
        deadline_s = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline_s:
            process.send_signal(number)
            time.sleep(0.1)
        assert ended(process) == (128 + number, "")


def test_what_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """nohup, and a job that a script has put into the background."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGINT)}
    try:
        with running(WAIT, tmp_path) as process:
            for number, handler in before.items():
                signal.signal(number, handler)
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert ended(process) == (143, "stopped: SIGTERM was received.\n")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_process_that_clears_up_leaves_without_a_word(tmp_path: Path) -> None:
    body = f"threading.Thread(target=lambda: (time.sleep(0.2), {READY}, time.sleep(50))).start()"
    with running(body, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
