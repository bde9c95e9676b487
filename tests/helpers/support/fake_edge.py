"""An edge that does what a test tells it, wrong things included: one ROUTER, in the test's own thread."""

import json
import time
from typing import Any

import zmq

Message = dict[str, Any]


class FakeEdge:
    """Answers PING by itself; everything else is asked for and sent by the test. Every wait ends after `timeout_s`."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self._peer = b""
        self.acknowledged = -1
        """`upto_seq` of the last ACK, passed over or not."""

    def __enter__(self) -> "FakeEdge":
        return self

    def __exit__(self, *_: object) -> None:
        self._router.close()
        self._context.term()

    def send(self, *parts: bytes) -> None:
        """To whoever was heard last."""
        self._router.send_multipart([self._peer, *parts])

    def say(self, **message: object) -> None:
        self.send(json.dumps(message).encode())

    def expect(self, kind: str, *, heartbeats: bool = True, timeout_s: float | None = None) -> Message:
        """The next message of this type; others are passed over."""
        deadline_s = time.monotonic() + (timeout_s or self._timeout_s)
        while (left_s := deadline_s - time.monotonic()) > 0:
            if not self._router.poll(int(left_s * 1000) + 1):
                break
            self._peer, part = self._router.recv_multipart()
            message: Message = json.loads(part)
            if message["type"] == "ACK":
                self.acknowledged = int(message["upto_seq"])
            if message["type"] == kind:
                return message
            if message["type"] == "PING" and heartbeats:
                self.say(type="PONG", nonce=message["nonce"], t_ns="0")
        raise AssertionError(f"no {kind} came")

    def welcome(self, *runs: Message, heartbeats: bool = True) -> Message:
        """HELLO, answered; returns it."""
        hello = self.expect("HELLO", heartbeats=heartbeats)
        self.say(type="WELCOME", proto=1, encoding="json", boot_id="b", server_version="0", role=hello["role"], runs=runs)
        return hello

    def accept(self, kind: str, trigger_until: int | None = None) -> Message:
        """A command, accepted; returns it."""
        command = self.expect(kind)
        self.say(type="ACCEPTED", cmd_id=command["cmd_id"], trigger_until=trigger_until)
        return command

    def start(self, trigger_until: int | None = None) -> str:
        """All that comes before the first record; returns the run's name."""
        self.welcome()
        run_id: str = self.accept("RUN_START", trigger_until)["run_id"]
        self.expect("ACK")
        return run_id
