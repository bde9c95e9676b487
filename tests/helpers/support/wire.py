"""Raw ends of the wire for tests: a DEALER that sends what it is told, and a TCP relay whose cable can be cut."""

import contextlib
import json
import select
import socket
import threading
import time
from typing import Any

import zmq


class RawClient:
    """A DEALER without any manners; JSON dictionaries or raw bytes."""

    def __init__(self, endpoint: str, identity: bytes | None = None) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if identity is not None:
            self.socket.setsockopt(zmq.ROUTING_ID, identity)
        self.socket.connect(endpoint)

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self._context.term()

    def send(self, **message: object) -> None:
        self.socket.send(json.dumps(message).encode())

    def receive(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """The next message but PING."""
        while self.socket.poll(int(timeout_s * 1000)):
            message: dict[str, Any] = json.loads(self.socket.recv())
            if message["type"] != "PING":
                return message
        raise AssertionError("nothing came")

    def await_one(self, timeout_s: float = 60.0) -> dict[str, Any]:
        """The next message but PING and PONG, however long it takes: who says nothing meanwhile would lose its session."""
        ends_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_s:
            self.send(type="PING", nonce="0", t_ns="0")
            if self.socket.poll(1000):
                message: dict[str, Any] = json.loads(self.socket.recv())
                if message["type"] not in {"PING", "PONG"}:
                    return message
        raise AssertionError("nothing came")

    def ask(self, **message: object) -> dict[str, Any]:
        self.send(**message)
        return self.receive()

    def hello(self, client_id: str = "raw", **more: object) -> dict[str, Any]:
        return self.ask(**{"type": "HELLO", "proto": 1, "encodings": ["json"], "client_id": client_id} | more)


class Cable:
    """Relays one TCP port to another; `cut` breaks every connection, and `dead` keeps new ones from reaching the edge."""

    def __init__(self, endpoint: str) -> None:
        self._target = ("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.dead = False
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._relay, name="cable")
        self._thread.start()

    def cut(self) -> None:
        with self._lock:
            for end in self._pairs:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        for end in [self._listener, *self._pairs]:
            end.close()

    def _relay(self) -> None:
        while not self._closing.is_set():
            ready, _, _ = select.select([self._listener, *self._pairs], [], [], 0.02)
            with self._lock:
                for end in ready:
                    if end is self._listener:
                        self._accept()
                    elif end in self._pairs:
                        self._forward(end)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self.dead:
            near.close()
            return
        far = socket.create_connection(self._target)
        self._pairs |= {near: far, far: near}

    def _forward(self, end: socket.socket) -> None:
        other = self._pairs[end]
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for broken in (end, other):
            self._pairs.pop(broken, None)
            broken.close()
