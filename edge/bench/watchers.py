"""Those who look on while an edge is measured: the process `python -m edge.bench.watchers`, with observers and dashboards.

It says `ready` when all are connected, each reads the run to its end, and whoever started it ends it.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import zmq

from edge.contracts.entry_point import run_command_line
from edge.contracts.errors import StreamError
from edge.stream.client import Controller

_CONNECT_S = 30.0
_LOOK_S = 0.05
READY = "ready"


@contextmanager
def looking_on(endpoint: str, telemetry: str, observers: int, dashboards: int) -> Iterator[None]:
    """Within, they look on. Raises `StreamError` when they do not come."""
    if not observers and not dashboards:
        yield
        return
    words = [sys.executable, "-m", "edge.bench.watchers", endpoint, telemetry, str(observers), str(dashboards)]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise StreamError("those who should look on did not connect; give the command again.")
        yield
    finally:
        process.kill()
        process.communicate()


def main() -> None:
    """Arguments: the edge's endpoint, that of its telemetry, how many observers and dashboards."""
    endpoint, telemetry, observers, dashboards = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    connected = threading.Barrier(observers + dashboards + 1)
    threads = [threading.Thread(target=_observe, args=(endpoint, connected), daemon=True) for _ in range(observers)]
    threads += [threading.Thread(target=_subscribe, args=(telemetry, connected), daemon=True) for _ in range(dashboards)]
    for thread in threads:
        thread.start()
    connected.wait(_CONNECT_S)
    print(READY, flush=True)
    for thread in threads:
        thread.join()


def _observe(endpoint: str, connected: threading.Barrier) -> None:
    with suppress(StreamError), Controller(endpoint, role="observer") as controller:
        controller.connect(_CONNECT_S)
        connected.wait(_CONNECT_S)
        while not (runs := controller.query(timeout_s=_CONNECT_S).runs):
            time.sleep(_LOOK_S)
        for _ in controller.records(runs[-1].run_id):
            pass


def _subscribe(telemetry: str, connected: threading.Barrier) -> None:
    socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(telemetry)
    socket.recv()  # an edge says something every second, also before a run
    connected.wait(_CONNECT_S)
    while True:
        socket.recv()


if __name__ == "__main__":
    run_command_line(main)
