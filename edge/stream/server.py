"""The edge's end of the wire: one thread that owns the ROUTER."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import zmq

from edge.contracts.errors import StreamError
from edge.journal.base import Journal
from edge.pipeline.run_control import RunControl
from edge.stream.codec import MAX_TO_EDGE_BYTES
from edge.stream.exchange import GONE, Exchange
from edge.stream.guard import Guard
from edge.stream.inquiries import Inquiries, SelfReport
from edge.stream.sessions import Posted, deliver
from edge.stream.settings import StreamSettings
from edge.stream.sockets import Waker, bound, check_endpoint, check_guarded

_RECEIVE_BATCH = 256
_RETRY_FULL_MS = 10
_LINGER_MS = 500


class Noted(Protocol):
    """A part of a message, of which ZeroMQ tells more than its bytes."""

    def get(self, option: Any, /) -> Any:  # noqa: ANN401 as pyzmq has it
        ...


class EdgeServer:
    """Serves controllers and observers at `bind` from `start` to `close`; what happens to a client never reaches the pipeline.

    `bind` is a ZeroMQ endpoint such as tcp://127.0.0.1:5570; port 0 or * takes a free one, `endpoint` says which.
    Raises `StreamError` when it is none, when it can be reached from other machines and `keys` are not given, or when those
    cannot be used.
    """

    def __init__(
        self,
        bind: str,
        journal: Journal,
        control: RunControl,
        boot_id: str,
        settings: StreamSettings | None = None,
        keys: Path | None = None,
        report: SelfReport | None = None,
    ) -> None:
        self.endpoint = check_endpoint(bind)
        check_guarded(bind, keys)
        self._journal = journal
        self._settings = settings or StreamSettings()
        self._waker = Waker()
        self._inquiries = Inquiries(report or SelfReport(), self._waker.wake)
        self._exchange = Exchange(journal, control, boot_id, self._settings, self._post, self._inquiries)
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        try:
            self._guard = Guard(self._context, self._router, keys)
        except StreamError:
            self._router.close()
            self._waker.close()
            self._context.term()
            raise
        self._thread = threading.Thread(target=self._run, name="leuko-stream", daemon=True)
        self._drain_ns = 0
        self._stop_at_ns: int | None = None
        self._progress = 0
        self._turned_s = time.monotonic()

    def start(self) -> "EdgeServer":
        """Bind and serve. Raises `StreamError` when the endpoint cannot be bound."""
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self._router.setsockopt(zmq.LINGER, _LINGER_MS)
        # libzmq cuts the connection above this, so that no peer can fill the memory; between the two limits it is told why.
        self._router.setsockopt(zmq.MAXMSGSIZE, 16 * MAX_TO_EDGE_BYTES)
        try:
            self.endpoint = bound(self._router, self.endpoint, "--bind")
        except StreamError:
            self._release()
            raise
        self._journal.on_append(self._waker.wake)
        self._turned_s = time.monotonic()
        self._thread.start()
        return self

    @property
    def silent_s(self) -> float:
        """How long ago the thread last came round; it does at least every half of `ping_every_s`, or is stuck."""
        return time.monotonic() - self._turned_s

    @property
    def alive(self) -> bool:
        """False once closed, or when a defect has ended the thread."""
        return self._thread.is_alive()

    def close(self, drain_s: float = 5.0) -> None:
        """Serve on until a controller holds every record, or for `drain_s` without any progress; then close. Safe to repeat."""
        if self._thread.is_alive():
            self._drain_ns = int(drain_s * 1e9)
            self._stop_at_ns = time.monotonic_ns() + self._drain_ns
            self._exchange.ending = True
            self._waker.wake()
            self._thread.join()
        self._release()

    def __enter__(self) -> "EdgeServer":
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close(0.0 if kind else 5.0)

    def tells(self, report: SelfReport) -> None:
        """What the edge says of itself from now on."""
        self._inquiries.report = report

    @property
    def refused(self) -> int:
        """Clients that were turned away for want of a key."""
        return self._guard.refused

    @property
    def sessions(self) -> int:
        """Controllers and observers with a session; any thread may ask."""
        return len(self._exchange.sessions)

    @property
    def rejects(self) -> dict[str, int]:
        """REJECTs so far, by code; any thread may ask."""
        return dict(self._exchange.rejects)

    def _release(self) -> None:
        self._inquiries.close()
        self._guard.close()
        self._router.close()
        self._waker.close()
        self._context.term()  # bounded: the only socket is closed and lingers for _LINGER_MS at most

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._waker.fileno(), zmq.POLLIN)
        self._guard.register(poller)
        wait_ms = 0
        while not self._finished():
            ready = dict(poller.poll(wait_ms))
            self._turned_s = time.monotonic()
            if self._waker.fileno() in ready:
                self._waker.drain()
            self._guard.log_refusals()
            if self._router in ready:
                self._receive()
            self._exchange.tick(time.monotonic_ns())
            wait_ms = self._send()
        self._receive()
        self._exchange.say_goodbye()
        self._send()

    def _finished(self) -> bool:
        if self._stop_at_ns is None:
            return False
        if self._exchange.progress() > self._progress:
            self._progress = self._exchange.progress()
            self._stop_at_ns = time.monotonic_ns() + self._drain_ns
        return self._exchange.settled() or time.monotonic_ns() >= self._stop_at_ns

    def _receive(self) -> None:
        for _ in range(_RECEIVE_BATCH):
            try:
                frames = self._router.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            identity, *parts = (frame.bytes for frame in frames)
            if self._guard.needs_keys and not self._guard.allows(_key_of(frames[-1])):
                self._exchange.forget(identity)
                continue
            self._exchange.receive(identity, connection_of(identity, frames[-1]), parts, time.monotonic_ns())

    def _send(self) -> int:
        """Give every session one turn; returns how long to wait for news, in ms."""
        wait_ms = int(self._settings.ping_every_s * 500)
        if self._stop_at_ns is not None:
            wait_ms = min(wait_ms, max(0, (self._stop_at_ns - time.monotonic_ns()) // 1_000_000 + 1))
        for session in list(self._exchange.sessions.values()):
            delivered = deliver(session, self._journal, self._post, self._exchange.refuse, self._settings.batch_records)
            if delivered == "gone":
                self._exchange.drop(session)
            elif delivered == "full":
                wait_ms = min(wait_ms, _RETRY_FULL_MS)
            elif delivered == "more":
                wait_ms = 0
        return wait_ms

    def _post(self, identity: bytes, payload: bytes) -> Posted:
        try:
            self._router.send_multipart([identity, payload], zmq.NOBLOCK)
        except zmq.Again:
            return "full"
        except zmq.ZMQError as problem:
            if problem.errno != zmq.EHOSTUNREACH:
                raise
            return "gone"
        return "sent"


def _key_of(frame: zmq.Frame) -> bytes:
    """Public key of the client that a message came from, which ZeroMQ notes on it as the handshake's user id."""
    return str(frame.get("User-Id")).encode()


def connection_of(identity: bytes, frame: Noted) -> int:
    """Which connection a message came over, by the inode of its socket; `GONE` when it is closed by now.

    A routing id that ZeroMQ has given (it begins with a zero byte) is that of one connection only. One that clients give passes
    to whoever connects last, and so may the descriptor's number; the kernel gives an inode to one socket only.
    """
    if identity[:1] == b"\0":
        return 0
    try:
        return os.fstat(int(frame.get(zmq.SRCFD))).st_ino
    except (OSError, zmq.ZMQError):
        return GONE
