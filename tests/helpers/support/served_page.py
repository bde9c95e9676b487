"""`leuko-edge view` as a process of its own, and what is asked of it."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_WITHIN_S = 60.0


class ServedPage:
    """The page at `address`, HOST:PORT."""

    def __init__(self, address: str) -> None:
        self.address = address

    @property
    def url(self) -> str:
        return f"http://{self.address}/"

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, bytes]:
        """Status and content; header names with `_` for `-`."""
        known = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self.address, timeout=_WITHIN_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), known)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        status, content = self.ask("/state")
        assert status == 200, content
        known: dict[str, Any] = json.loads(content)
        return known

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        until_s = time.monotonic() + _WITHIN_S
        while not holds(state := self.state()):
            assert time.monotonic() < until_s, state
            time.sleep(0.05)
        return state


@contextmanager
def served_page(*arguments: str) -> Iterator[ServedPage]:
    """At a free port; ended as a supervisor would end it, which takes no longer for a page that is open."""
    command = [sys.executable, "-m", "edge.cli", "view", "--bind", "127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("the page is at http://"), said + process.stderr.read()
            yield ServedPage(said.strip().removeprefix("the page is at http://").rstrip("/"))
            process.terminate()
            _, complained = process.communicate(timeout=30)
            assert (process.returncode, complained) == (143, "stopped: SIGTERM was received.\n")
        finally:
            process.kill()
