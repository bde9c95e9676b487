"""Telemetry of an edge that is not there: what it would look up is a value the test sets."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from edge.engine.base import EngineInfo
from edge.telemetry.snapshot import Snapshot
from edge.telemetry.telemetry import Telemetry

ENGINE = EngineInfo("OpenVINO", "2026.4.1", 'Intel "Xeon" \\ 2.5 GHz', "bf16", 732, 574, max_batch=2, slots=2, top_k=256)
CALM = Snapshot("waiting", None, 0, None, None, 0, 0, 0, {"busy": 0, "malformed": 0})


class Subscriber:
    """A SUB socket in a context of its own; `options` are set before it connects."""

    def __init__(self, endpoint: str, prefixes: tuple[bytes, ...] = (b"",), **options: int | bytes) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        for name, value in options.items():
            setattr(self._socket, name, value)
        for prefix in prefixes:
            self._socket.setsockopt(zmq.SUBSCRIBE, prefix)
        self._socket.connect(endpoint)

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close(0)
        self._context.term()

    def heard(self, wait_s: float) -> bool:
        return bool(self._socket.poll(int(wait_s * 1000)))

    def next(self) -> dict[str, Any]:
        """The next message, which is one part."""
        assert self.heard(10), "nothing came"
        (part,) = self._socket.recv_multipart()
        message: dict[str, Any] = json.loads(part)
        return message

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not holds(message := self.next()):
            pass
        return message


@dataclass
class Bench:
    """`snapshot` is what the telemetry sees."""

    snapshot: Snapshot = CALM
    started: list[Telemetry] = field(default_factory=list)

    def start(
        self,
        bind: str | None = "tcp://127.0.0.1:*",
        *,
        alive_s: float = 0.1,
        keys: Path | None = None,
        metrics: str | None = None,
    ) -> Telemetry:
        telemetry = Telemetry(
            "boot-1", ENGINE, lambda: self.snapshot, bind=bind, hz=100.0, alive_s=alive_s, keys=keys, metrics=metrics
        )
        self.started.append(telemetry)
        return telemetry.start()

    def subscribed(self) -> tuple[Telemetry, Subscriber]:
        telemetry = self.start()
        assert telemetry.publisher is not None
        return telemetry, Subscriber(telemetry.publisher.endpoint)
