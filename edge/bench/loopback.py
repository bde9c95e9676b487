"""What ZeroMQ takes over loopback with nothing before and nothing behind it."""

import time
from types import TracebackType

import zmq

from edge.contracts.errors import StreamError

MESSAGE_BYTES = 900
"""A field without a cell is about that long."""

_WAIT_MS = 10_000


class BareHop:
    """A ROUTER and a DEALER, each with a ZeroMQ thread of its own as in two processes."""

    def __init__(self) -> None:
        self._contexts: tuple[zmq.Context[zmq.Socket[bytes]], ...] = (zmq.Context(), zmq.Context())
        self._router, self._dealer = self._contexts[0].socket(zmq.ROUTER), self._contexts[1].socket(zmq.DEALER)
        self._router.bind("tcp://127.0.0.1:*")
        self._dealer.connect(self._router.getsockopt_string(zmq.LAST_ENDPOINT))
        self._dealer.send(b"")
        self._await(self._router)
        self._peer = self._router.recv_multipart()[0]

    def once(self) -> float:
        """Send one message and receive it; returns ms. Raises `StreamError` when it does not come."""
        start_ns = time.monotonic_ns()
        self._router.send_multipart([self._peer, bytes(MESSAGE_BYTES)])
        self._await(self._dealer)
        self._dealer.recv()
        return (time.monotonic_ns() - start_ns) / 1e6

    def __enter__(self) -> "BareHop":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        for context in self._contexts:
            context.destroy(linger=0)

    def _await(self, end: "zmq.Socket[bytes]") -> None:
        if not end.poll(_WAIT_MS):
            raise StreamError("a message to 127.0.0.1 did not arrive; look at this machine's loopback interface and firewall.")
