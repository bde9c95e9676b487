"""The thread that subscribes to an edge's telemetry: it only reads, and an edge never waits for a subscriber."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import zmq

from edge.contracts.base import parse_json
from edge.contracts.errors import LeukoError, StreamError, first_line
from edge.contracts.messages import Live
from edge.stream.curve_keys import ClientKeys
from edge.stream.sockets import Waker, check_endpoint, speak_ipv6
from edge.view.heard import Heard

_POLL_MS = 500
_MOST_BYTES = 1 << 20
_Seen = TypeVar("_Seen")


class TelemetryListener:
    """Listens to `endpoint` from `start` to `close`. Raises `StreamError` for an address or keys that cannot be used."""

    def __init__(self, endpoint: str, keys: ClientKeys | None = None) -> None:
        self.endpoint = check_endpoint(endpoint)
        self._heard = Heard()
        self._problem = ""
        self._lock = threading.Lock()
        self._closing = False
        self._waker = Waker()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MOST_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        speak_ipv6(self._socket, endpoint)
        self._thread = threading.Thread(target=self._run, name="leuko-view-telemetry", daemon=True)
        try:
            if keys is not None:
                keys.apply(self._socket)
            self._socket.connect(endpoint)
        except (zmq.ZMQError, ValueError) as problem:
            self._free()
            raise StreamError(
                f"telemetry cannot be subscribed at {endpoint} ({first_line(problem)}); give the address of --telemetry, "
                "such as tcp://127.0.0.1:5571."
            ) from problem

    def start(self) -> "TelemetryListener":
        """Listen."""
        self._thread.start()
        return self

    def look(self, at: Callable[[Heard, str], _Seen]) -> _Seen:
        """What `at` sees of what was heard, and of the last message that was none, while nothing changes."""
        with self._lock:
            return at(self._heard, self._problem)

    def close(self) -> None:
        """Listen no more. Safe to repeat."""
        if self._thread.is_alive():
            self._closing = True
            self._waker.wake()
            self._thread.join()
        self._free()

    def _free(self) -> None:
        self._socket.close()
        self._waker.close()
        self._context.term()

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._waker.fileno(), zmq.POLLIN)
        while not self._closing:
            if dict(poller.poll(_POLL_MS)).get(self._socket):
                self._take(self._socket.recv_multipart())

    def _take(self, parts: list[bytes]) -> None:
        try:
            live = parse_json(Live, b"".join(parts), f"a message of {self.endpoint}", StreamError)
        except LeukoError as problem:
            with self._lock:
                self._problem = f"{problem} Is it the telemetry socket of an edge of this version?"
            return
        with self._lock:
            self._problem = ""
            self._heard.hear(live, time.monotonic())
