"""Pages that are open in browsers while an edge is measured: the process `python -m edge.bench.page_watchers`, which has a
`leuko-edge view` of its own and reads from it what each page reads.

It says `ready` when each has its first state, and ends both when it is told to.
"""

import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from edge.bench.watchers import READY
from edge.contracts.entry_point import run_command_line
from edge.contracts.errors import StreamError

_ANSWER_S = 60.0
_END_S = 20.0
_MAP_S = 2.0


def can_be_watched() -> bool:
    """Whether the extra `view` is installed."""
    return find_spec("uvicorn") is not None and find_spec("starlette") is not None


@contextmanager
def pages_open(telemetry: str, journal: Path, pages: int) -> Iterator[None]:
    """Within, so many pages are open. Raises `StreamError` when they do not come."""
    if not pages:
        yield
        return
    words = [sys.executable, "-m", "edge.bench.page_watchers", telemetry, str(journal), str(pages)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise StreamError("the page of `leuko-edge view` did not come; give the command again.")
        yield
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def main() -> None:
    """Arguments: the telemetry's endpoint, the journal, how many pages."""
    telemetry, journal, pages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    words = [sys.executable, "-m", "edge.cli", "view", telemetry, "--journal", journal, "--bind", "127.0.0.1:0"]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip().removeprefix("the page is at ")
        began = threading.Barrier(pages + 1)
        for _ in range(pages):
            threading.Thread(target=_look, args=(url, began), daemon=True).start()
        began.wait(_ANSWER_S)
        print(READY, flush=True)
        server.wait()
    finally:
        server.terminate()
        server.wait()


def _look(url: str, began: threading.Barrier) -> None:
    """What the page's script does: every state as it comes, and the map every other second."""
    with suppress(OSError), urllib.request.urlopen(f"{url}events", timeout=_ANSWER_S) as states:
        states.readline()
        began.wait(_ANSWER_S)
        due_s = time.monotonic()
        for _ in states:
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + _MAP_S
                urllib.request.urlopen(f"{url}map", timeout=_ANSWER_S).read()


if __name__ == "__main__":
    run_command_line(main)
