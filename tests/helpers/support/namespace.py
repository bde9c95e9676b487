"""Runs scenes in a network of their own, where a fake camera may take the ports of GigE Vision and nobody else hears it.

Usage: python -m support.namespace SCENE ARGUMENT...; shows what the scene prints.
"""

import atexit
import ctypes
import json
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

HELPERS = Path(__file__).parents[1]


@lru_cache(maxsize=1)
def why_not() -> str:
    """Why no fake GigE Vision camera can run here; empty when it can."""
    try:
        ctypes.CDLL("libaravis-0.8.so.0")
    except OSError:
        return "libaravis-0.8-0 is not installed (apt install libaravis-0.8-0)"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare (util-linux) and ip (iproute2) are needed for a network namespace"
    done = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return f"no network namespace can be made here ({done.stderr.strip()})" if done.returncode else ""


def inside(*arguments: str) -> list[str]:
    """The command that runs a scene, or without one a process for many, in a new network."""
    script = f"ip link set lo up && exec {sys.executable} -m support.gige_scenes {shlex.join(arguments)}"
    return ["unshare", "-n", "sh", "-c", script]


class ScenePlayer:
    """One network and one process for scenes that are played one after the other."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in `end`
        path = os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            inside(),
            cwd=HELPERS,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            start_new_session=True,
        )

    def begin(self, scene: str, *arguments: str) -> None:
        """Play a scene, when the one before has been seen."""
        assert self._process.stdin is not None
        self._said.seek(0)
        self._said.truncate()
        self._process.stdin.write(json.dumps([scene, *arguments]).encode() + b"\n")
        self._process.stdin.flush()

    def seen(self, timeout_s: float = 50.0) -> Any:  # noqa: ANN401 - what the scene prints
        """The JSON that the scene prints, which must end within `timeout_s`."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            assert waiting.select(timeout_s), f"it has not ended within {timeout_s:g} s: {self._last_words()}"
        seen = json.loads(self._process.stdout.readline() or "null")
        assert seen is not None, self._last_words()
        return seen

    def end(self) -> None:
        """Whatever a scene has left running ends with it."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._said.close()

    def _last_words(self) -> str:
        self._said.seek(0)
        return self._said.read()[-4000:]


_players: list[ScenePlayer] = []


def player() -> ScenePlayer:
    """A new one; skips the test where that cannot be."""
    if reason := why_not():
        pytest.skip(reason)
    return ScenePlayer()


def play(scene: str, *arguments: str, timeout_s: float = 50.0) -> Any:  # noqa: ANN401 - what the scene prints
    """What the scene of `support.gige_scenes` prints, after those before it and in the same network."""
    if not _players:
        _players.append(player())
    _players[0].begin(scene, *arguments)
    try:
        return _players[0].seen(timeout_s)
    except AssertionError:  # the next scene gets a network in which nothing is left of this one
        end_all()
        raise


@atexit.register
def end_all() -> None:
    """No scene follows for now."""
    while _players:
        _players.pop().end()


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    sys.exit(subprocess.run(inside(*sys.argv[1:]), check=False).returncode)
