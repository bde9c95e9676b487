"""An edge process and its controller, both real, over a loopback socket: what `leuko-edge demo` starts and shows."""

import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.contracts.errors import StreamError
from edge.stream.client import Controller
from edge.stream.settings import ClientSettings
from edge.watch.follow import follow
from edge.watch.view import choose_view

_SOURCE = "virtual:seed=42,fields={fields},wbc=1.5,rate=10"
"""At the pace of a tiling scanner: unpaced, every field would wait behind those read ahead, and its latency say nothing."""
_START_S = 40.0
_END_S = 15.0
_LOG_LINES = 12
_WITH_ITS_PARENT = """
import ctypes, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: a demo that was killed leaves no edge behind that waits for it
from edge.cli import main
main()
"""
_SETTINGS = ClientSettings(dead_after_s=4.0, reconnect_s=2.0)


def demonstrate(given: Mapping[str, Any], fields: int, as_json: bool) -> int:
    """Run an edge process with the settings `given`, over a drawn slide unless they name a source, and show its run.

    Returns the exit code.
    """
    bind = f"tcp://127.0.0.1:{_free_port()}"
    command = ["run", "--bind", bind, "--max-fields", str(fields)]
    for name, value in ({"source": _SOURCE.format(fields=fields)} | dict(given)).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    if "source" not in given and not as_json:
        print("The fields of this demo are drawn (synthetic): it shows the pipeline, it says nothing about real blood.")
    with tempfile.TemporaryDirectory() as folder:
        command += ["--journal", str(Path(folder) / "journal.sqlite")]
        log = Path(folder) / "edge.log"
        edge = _spawn(command, log)
        try:
            code = _watch(edge, bind, as_json)
        except StreamError as problem:
            code = edge.poll() or problem.exit_code
            print(f"{problem}\n{_end_of(log)}", file=sys.stderr)
        finally:
            _end(edge)
    return code


def _spawn(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", _WITH_ITS_PARENT, *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C reaches the controller alone, which then stops the run as a controller does
        )


def _watch(edge: "subprocess.Popen[bytes]", endpoint: str, as_json: bool) -> int:
    """Perform the run; returns the exit code. Raises `StreamError` when the edge process dies or does not end."""
    with Controller(endpoint, client_id="demo", settings=_SETTINGS) as controller:
        _connect(edge, controller)
        outcome = follow(controller, choose_view(Console(), as_json), controller.start_run(slide_id="demo"))
    try:
        code = edge.wait(_END_S)
    except subprocess.TimeoutExpired as problem:
        raise StreamError(f"the edge process did not end within {_END_S:g} s of its run; its log ends with:") from problem
    if code and outcome is not None and not outcome.exit_code:
        raise StreamError(f"the run was complete, but the edge process ended with code {code}; its log ends with:")
    return outcome.exit_code if outcome is not None else code


def _connect(edge: "subprocess.Popen[bytes]", controller: Controller) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        try:
            controller.connect(timeout_s=1.0)
        except StreamError as problem:
            if edge.poll() is not None:
                raise StreamError(f"the edge process ended with code {edge.returncode}; its log ends with:") from problem
            if time.monotonic() > deadline_s:
                raise StreamError(
                    f"the edge process did not open its socket within {_START_S:g} s; its log ends with:"
                ) from problem
        else:
            return


def _end_of(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as stream:
        return "".join(deque(stream, maxlen=_LOG_LINES)).rstrip() or "(the log is empty)"


def _end(edge: "subprocess.Popen[bytes]") -> None:
    """Leave no process behind."""
    if edge.poll() is None:
        edge.terminate()
        try:
            edge.wait(_END_S)
        except subprocess.TimeoutExpired:
            edge.kill()
            edge.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
