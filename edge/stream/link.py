"""A client's end of the wire: one DEALER, one session, heartbeats both ways. Single-threaded, like everything that uses it."""

import time

import zmq

from edge.contracts.base import Wire
from edge.contracts.errors import StreamError
from edge.contracts.messages import Encoding, FromEdge, Hello, Ping, Pong, Reject, Welcome
from edge.stream.codec import decode_from_edge, encode
from edge.stream.curve_keys import ClientKeys
from edge.stream.settings import ClientSettings
from edge.stream.sockets import check_endpoint, speak_ipv6

_ATTEMPT_S = 2.0
_LINGER_MS = 500
_ENDING_S = 0.2
"""An edge that says so is gone soon, and another one may take its place."""
_KEYS_TOO = "; it may also not allow this client's key, have another key than the one given, or take no keys"
_PLAIN = "; an edge with keys answers nobody without one"


class SessionLost(Exception):
    """The session is over but may be opened anew. `edge_is_ending`: it said so, because all of its run was acknowledged."""

    def __init__(self, reason: str, *, edge_is_ending: bool = False) -> None:
        super().__init__(reason)
        self.edge_is_ending = edge_is_ending


class Link:
    """Opens sessions with the edge at `endpoint` and exchanges messages in them. Raises `StreamError` when it is no address."""

    def __init__(self, endpoint: str, settings: ClientSettings, keys: ClientKeys | None = None) -> None:
        self.endpoint = check_endpoint(endpoint)
        self.edge: Pong | None = None
        """The edge's last answer to a PING: state, last seq, lag."""
        self._settings = settings
        self._keys = keys
        self._encoding: Encoding = "json"
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None
        self._attempt = 0
        self._heard_s = self._pinged_s = self._polled_s = 0.0

    def open(self, hello: Hello, timeout_s: float) -> Welcome:
        """Say HELLO until the edge answers, each time as a new attempt over a new connection; an edge that is ending is waited
        out. Raises `StreamError` with the edge's reason, or when none answers in time."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._connect()
            self._attempt = max(self._attempt + 1, time.time_ns())
            self._send(hello.model_copy(update={"attempt": self._attempt}), "json")
            answer = self._await_answer(min(left_s, _ATTEMPT_S))
            if isinstance(answer, Reject):
                if answer.code == "ending" and left_s > _ENDING_S:
                    time.sleep(_ENDING_S)
                    continue
                raise StreamError(f"the edge at {self.endpoint} refused ({answer.code}): {answer.reason}")
            if answer is not None:
                self._encoding = answer.encoding
                self._heard_s = self._pinged_s = self._polled_s = time.monotonic()
                return answer
        raise StreamError(
            f"no edge answered at {self.endpoint} within {timeout_s:g} s; start one with `leuko-edge run --bind ...`, "
            f"or give the address it prints{_KEYS_TOO if self._keys else _PLAIN}."
        )

    def send(self, message: Wire) -> None:
        """Send in the session's encoding."""
        self._send(message, self._encoding)

    def receive(self, wait_s: float) -> FromEdge | None:
        """The next message that is not a heartbeat, None after `wait_s`. Raises `SessionLost` and `StreamError`."""
        deadline_s = time.monotonic() + wait_s
        while True:
            now_s = time.monotonic()
            if now_s - self._polled_s > self._settings.ping_every_s:
                self._heard_s = now_s  # it was the caller who was away, not the edge
            message = self._poll(min(max(0.0, deadline_s - now_s), self._settings.ping_every_s))
            self._polled_s = time.monotonic()
            self._ping_if_due()
            if message is not None:
                self._heard_s = self._polled_s
                if not self._is_heartbeat(message):
                    return message
            elif self._polled_s - self._heard_s > self._settings.dead_after_s:
                raise SessionLost(f"nothing was heard for {self._settings.dead_after_s:g} s")
            if self._polled_s >= deadline_s:
                return None

    def close(self) -> None:
        """Close; what was sent last gets half a second to leave."""
        if self._socket is not None:
            self._socket.close(_LINGER_MS)
        self._context.term()

    def _connect(self) -> None:
        if self._socket is not None:
            self._socket.close(0)
        self._socket = self._context.socket(zmq.DEALER)
        speak_ipv6(self._socket, self.endpoint)
        if self._keys is not None:
            self._keys.apply(self._socket)
        try:
            self._socket.connect(self.endpoint)
        except zmq.ZMQError as problem:
            raise StreamError(
                f"{self.endpoint} is not an address to connect to ({problem.strerror}); one looks like tcp://127.0.0.1:5570."
            ) from problem

    def _await_answer(self, wait_s: float) -> Welcome | Reject | None:
        deadline_s = time.monotonic() + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = self._poll(left_s)
            if isinstance(message, Welcome | Reject):
                return message
        return None

    def _send(self, message: Wire, encoding: Encoding) -> None:
        if self._socket is None:
            raise StreamError(f"there is no session with {self.endpoint} yet; call connect() first.")
        try:
            self._socket.send(encode(message, encoding), zmq.NOBLOCK)
        except zmq.Again:
            raise SessionLost("the edge takes no more messages") from None

    def _poll(self, wait_s: float) -> FromEdge | None:
        if self._socket is None:
            raise StreamError(f"there is no session with {self.endpoint} yet; call connect() first.")
        if not self._socket.poll(int(wait_s * 1000) + (wait_s > 0)):
            return None
        return decode_from_edge(self._socket.recv())

    def _ping_if_due(self) -> None:
        if self._polled_s - self._pinged_s >= self._settings.ping_every_s:
            self._pinged_s = self._polled_s
            self.send(Ping(nonce=time.monotonic_ns(), t_ns=time.monotonic_ns()))

    def _is_heartbeat(self, message: FromEdge) -> bool:
        match message:
            case Ping():
                self.send(Pong(nonce=message.nonce, t_ns=time.monotonic_ns()))
                return True
            case Pong():
                self.edge = message
                return True
            case Reject(code="rate"):
                return True  # what was dropped was a command, which is repeated, or an ACK, which the next one replaces
            case Reject(code="state" | "ending"):
                raise SessionLost(message.reason, edge_is_ending=message.code == "ending")
            case Reject():
                raise StreamError(f"the edge at {self.endpoint} refused ({message.code}): {message.reason}")
            case _:
                return False
