"""A TCP relay with faults: cut by FIN or RST, delay, half-open, slow reader. It knows nothing of what it relays."""

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace

_TICK_S = 0.02
_CHUNK_BYTES = 16 * 1024
_QUEUE_BYTES = 64 * 1024
"""Above this no more is read, so that a slow reader is felt by the sender, as through a router with a small queue."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends RST."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What happens to bytes for now. "up" is from the client to the edge, "down" from the edge to the client.

    A stopped direction takes nothing and gives nothing while its connections stay open; 0 bytes a second is no limit.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    up_stopped: bool = False
    down_stopped: bool = False
    up_bytes_per_s: float = 0.0
    down_bytes_per_s: float = 0.0


CLEAR = Impairment()


@dataclass(eq=False, slots=True)
class _Flow:
    """One direction of one connection; `queue` holds (when it is due, bytes)."""

    source: socket.socket
    sink: socket.socket
    is_up: bool
    queue: deque[tuple[float, bytes]] = field(default_factory=deque)
    queued_bytes: int = 0
    due_s: float = 0.0
    allowed_bytes: float = 0.0
    ended: bool = False
    """nothing more will come from `source`; `sink` is told once the queue is empty"""
    told: bool = False


class FaultProxy:
    """Relays connections to `target` (host, port); the faults' sizes are given, their jitter is drawn from `seed`.

    A target that does not listen is a connection that is closed at once. One thread from the start to `close`.
    """

    def __init__(self, target: tuple[str, int], seed: int = 0, host: str = "127.0.0.1") -> None:
        self._target = target
        self._random = random.Random(seed)
        self._listener = socket.create_server((host, 0))
        self.endpoint = f"tcp://{host}:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._impairment = CLEAR
        self._flows: list[_Flow] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._at_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> "FaultProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def impair(self, **changed: float | bool) -> None:
        """Change some of the impairments; they hold for connections that are there and for new ones."""
        with self._lock:
            self._impairment = replace(self._impairment, **changed)  # type: ignore[arg-type]

    def clear(self) -> None:
        """As if nothing had been; what a stopped direction held back arrives now, late."""
        with self._lock:
            self._impairment = CLEAR

    def cut(self, *, reset: bool = False) -> int:
        """End every connection on both sides, by RST or by FIN, with what was on its way; returns how many there were."""
        with self._lock:
            ends = {end for flow in self._flows for end in (flow.source, flow.sink)}
            self._flows = []
            for end in ends:
                _close(end, reset)
        return len(ends) // 2

    def close(self) -> None:
        """End everything, the thread too. Safe to repeat."""
        self._closing.set()
        self._thread.join()
        self.cut()
        self._listener.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                readers, writers, wait_s = self._interests(time.monotonic())
            with contextlib.suppress(OSError, ValueError):  # an end that `cut` has closed in between
                select.select(readers, writers, [], wait_s)
            with self._lock:
                self._accept()
                self._move(time.monotonic())

    def _interests(self, now_s: float) -> tuple[list[socket.socket], list[socket.socket], float]:
        readers, writers, wait_s = [self._listener], [], _TICK_S
        for flow in self._flows:
            if self._may_read(flow):
                readers.append(flow.source)
            if flow.queue and not self._stopped(flow):
                if flow.queue[0][0] > now_s:
                    wait_s = min(wait_s, flow.queue[0][0] - now_s)
                elif self._room(flow):
                    writers.append(flow.sink)
        return readers, writers, wait_s

    def _stopped(self, flow: _Flow) -> bool:
        return self._impairment.up_stopped if flow.is_up else self._impairment.down_stopped

    def _may_read(self, flow: _Flow) -> bool:
        return not flow.ended and not self._stopped(flow) and flow.queued_bytes < _QUEUE_BYTES

    def _per_s(self, flow: _Flow) -> float:
        return self._impairment.up_bytes_per_s if flow.is_up else self._impairment.down_bytes_per_s

    def _room(self, flow: _Flow) -> bool:
        return not self._per_s(flow) or flow.allowed_bytes >= 1

    def _accept(self) -> None:
        while select.select([self._listener], [], [], 0)[0]:
            near, _ = self._listener.accept()
            try:
                far = socket.create_connection(self._target, timeout=1.0)
            except OSError:
                _close(near, reset=False)
                continue
            self.connections += 1
            for end in (near, far):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._flows += [_Flow(near, far, is_up=True), _Flow(far, near, is_up=False)]

    def _move(self, now_s: float) -> None:
        passed_s, self._at_s = now_s - self._at_s, now_s
        for flow in list(self._flows):
            per_s = self._per_s(flow)
            flow.allowed_bytes = min(per_s * 0.1, flow.allowed_bytes + per_s * passed_s)
            try:
                self._read(flow, now_s)
                self._write(flow, now_s)
            except BlockingIOError:
                continue
            except OSError:
                self._drop(flow)
                continue
            if flow.ended and not flow.queue and not flow.told:
                flow.told = True
                with contextlib.suppress(OSError):
                    flow.sink.shutdown(socket.SHUT_WR)
        self._drop_ended()

    def _read(self, flow: _Flow, now_s: float) -> None:
        if not self._may_read(flow):
            return
        try:
            data = flow.source.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        if not data:
            flow.ended = True
            return
        now = self._impairment
        late_s = now.latency_s + now.jitter_s * self._random.random()
        flow.due_s = max(flow.due_s, now_s + late_s)  # TCP never overtakes itself
        flow.queue.append((flow.due_s, data))
        flow.queued_bytes += len(data)

    def _write(self, flow: _Flow, now_s: float) -> None:
        while flow.queue and flow.queue[0][0] <= now_s and self._room(flow) and not self._stopped(flow):
            due_s, data = flow.queue.popleft()
            some = data[: int(flow.allowed_bytes)] if self._per_s(flow) else data
            sent = 0
            try:
                sent = flow.sink.send(some)
            finally:
                flow.queued_bytes -= sent
                flow.allowed_bytes -= sent
                if sent < len(data):
                    flow.queue.appendleft((due_s, data[sent:]))

    def _drop(self, flow: _Flow) -> None:
        """One end has broken: so has the connection."""
        ends = {flow.source, flow.sink}
        self._flows = [each for each in self._flows if each.source not in ends]
        for end in ends:
            _close(end, reset=True)

    def _drop_ended(self) -> None:
        told = {flow.source for flow in self._flows if flow.told}
        for flow in [flow for flow in self._flows if flow.told and flow.sink in told]:
            flow.source.close()
        self._flows = [flow for flow in self._flows if not (flow.told and flow.sink in told)]


def _close(end: socket.socket, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        else:
            end.shutdown(socket.SHUT_RDWR)
    end.close()
