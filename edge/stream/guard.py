"""Keeps strangers from a socket of the edge: CURVE with an allow list, and a word in the log for who is turned away."""

import logging
import time
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from edge.stream.curve_keys import EDGE, AllowList, read_pair

_DOMAIN = "leukostream"
_REREAD_S = 0.5
"""A revoked key is found out after this time."""
_NO_CURVE = "it does not speak CURVE, or it expects another one's key"
"""libzmq reports the two by either event, as it comes."""
_FAILURES = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "its key is not allowed (leuko-edge keys allow)",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: _NO_CURVE,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: _NO_CURVE,
}
_log = logging.getLogger(__name__)


class Guard:
    """Of one socket before it is bound, in a context of its own. Without `keys` everybody is let in. `refused` counts those who
    were not, and the log calls each of them `who`.

    Raises `StreamError` when the keys cannot be used.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        socket: "zmq.Socket[bytes]",
        keys: Path | None,
        who: str = "a client",
    ) -> None:
        self.refused = 0
        self._who = who
        self._monitor: zmq.Socket[bytes] | None = None
        self._authenticator: ThreadAuthenticator | None = None
        self._socket = socket
        self._allow_list: AllowList | None = None
        self._allowed: set[bytes] = set()
        self._read_s = float("-inf")
        self._shut_out: set[bytes] = set()
        if keys is None:
            return
        pair = read_pair(keys, EDGE)
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._allow_list = AllowList(keys)
        self._authenticator.configure_curve_callback(_DOMAIN, self._allow_list)
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
        socket.zap_domain = _DOMAIN.encode()
        self._monitor = socket.get_monitor_socket(sum(_FAILURES))

    def register(self, poller: zmq.Poller) -> None:
        """Wake the poller for strangers, too."""
        if self._monitor is not None:
            poller.register(self._monitor, zmq.POLLIN)

    def log_refusals(self) -> None:
        """Log and count who was turned away since the last call."""
        while self._monitor is not None and self._monitor.poll(0):
            event = zmq.Event(recv_monitor_message(self._monitor)["event"])
            if event in _FAILURES:
                self.refused += 1
                _log.warning("%s was turned away (number %d): %s", self._who, self.refused, _FAILURES[event])

    @property
    def needs_keys(self) -> bool:
        """Whether clients need a key."""
        return self._allow_list is not None

    def allows(self, key: bytes) -> bool:
        """Whether a client whose connection is open may still be served: its key may have been revoked since."""
        if self._allow_list is None:
            return True
        now_s = time.monotonic()
        if now_s - self._read_s > _REREAD_S:
            self._allowed, self._read_s = self._allow_list.keys(), now_s
        if key in self._allowed:
            self._shut_out.discard(key)
            return True
        self.refused += 1
        if key not in self._shut_out:
            self._shut_out.add(key)
            _log.warning("%s is served no longer (number %d): its key was revoked", self._who, self.refused)
        return False

    def close(self) -> None:
        """Before the socket's context ends."""
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor = None
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
