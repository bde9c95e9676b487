"""The PUB socket for dashboards: one thread that owns it, the newest state in one part, and nothing that could pile up.

`ZMQ_CONFLATE` would fit and is not used: on a PUB it also keeps only the last of a client's subscriptions, so that one with two
prefixes may get nothing at all (seen with libzmq 4.3.5). A queue of two messages is as short, and what a slow subscriber misses
is replaced by the next message a moment later. Its own end may set `ZMQ_CONFLATE`, because a message is one part.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import zmq

from edge.contracts.errors import StreamError
from edge.stream.guard import Guard
from edge.stream.sockets import Waker, bound, check_endpoint, check_guarded

ALIVE_S = 1.0
"""Something is published at least so often, whether or not anything happened."""

_QUEUE = 2
_KERNEL_BYTES = 16 * 1024
"""Old states in the system's buffer would reach a subscriber that was stalled before the new ones do."""
_SUBSCRIPTION_BYTES = 1024
_LINGER_MS = 500
_log = logging.getLogger(__name__)


class Publisher:
    """Publishes what `compose(telemetry_seq)` gives, from `start` to `close`: at once when `newest()` is another object than
    before, but at most `hz` times a second; otherwise every `alive_s`. Both are called by the publisher's thread.

    `bind` and `keys` are as in `EdgeServer`. Raises `StreamError` when they cannot be used.
    """

    def __init__(
        self,
        bind: str,
        compose: Callable[[int], bytes],
        newest: Callable[[], object],
        hz: float,
        alive_s: float = ALIVE_S,
        keys: Path | None = None,
    ) -> None:
        self.endpoint = check_endpoint(bind)
        check_guarded(bind, keys, "read its counts")
        self.sent = 0
        """messages so far, whoever was there to receive them"""
        self._compose, self._newest = compose, newest
        self._period_ns, self._alive_ns = int(1e9 / hz), int(alive_s * 1e9)
        self._waker = Waker()
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._thread = threading.Thread(target=self._run, name="leuko-telemetry", daemon=True)
        self._closing = False
        try:
            self._guard = Guard(self._context, self._socket, keys, "a telemetry subscriber")
        except StreamError:
            self._free()
            raise

    def start(self) -> "Publisher":
        """Bind and publish. Raises `StreamError` when the endpoint cannot be bound."""
        self._socket.setsockopt(zmq.SNDHWM, _QUEUE)
        self._socket.setsockopt(zmq.SNDBUF, _KERNEL_BYTES)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _SUBSCRIPTION_BYTES)
        self._socket.setsockopt(zmq.LINGER, _LINGER_MS)
        try:
            self.endpoint = bound(self._socket, self.endpoint, "--telemetry")
        except StreamError:
            self._guard.close()
            self._free()
            raise
        self._thread.start()
        return self

    @property
    def refused(self) -> int:
        """Subscribers that were turned away for want of a key."""
        return self._guard.refused

    def close(self) -> None:
        """Publish once more, then close. Safe to repeat."""
        if self._thread.is_alive():
            self._closing = True
            self._waker.wake()
            self._thread.join()
        self._guard.close()
        self._free()

    def _free(self) -> None:
        self._socket.close()
        self._waker.close()
        self._context.term()  # bounded: the only socket is closed and lingers for _LINGER_MS at most

    def _run(self) -> None:
        try:
            self._publish_until_closed()
        except Exception as problem:  # noqa: BLE001 a dashboard is never worth a run
            _log.error("telemetry ends by a defect (%s: %s); the run goes on. Report it.", type(problem).__name__, problem)
            _log.debug("where it failed", exc_info=problem)

    def _publish_until_closed(self) -> None:
        poller = zmq.Poller()
        poller.register(self._waker.fileno(), zmq.POLLIN)
        self._guard.register(poller)
        shown: object = None
        look_ns = alive_ns = time.monotonic_ns()
        while not self._closing:
            poller.poll(max(0, (look_ns - time.monotonic_ns()) // 1_000_000 + 1))
            self._guard.log_refusals()
            now_ns = time.monotonic_ns()
            if now_ns < look_ns:
                continue
            look_ns = now_ns + self._period_ns
            newest = self._newest()
            if newest is not shown or now_ns >= alive_ns:
                shown, alive_ns = newest, now_ns + self._alive_ns
                self._publish()
        self._publish()

    def _publish(self) -> None:
        # A PUB drops what a subscriber has no room for; it never makes its owner wait.
        self._socket.send(self._compose(self.sent), zmq.NOBLOCK)
        self.sent += 1
