"""Keeps strangers from a socket of the edge: CURVE with an allow list, and a word in the log for who is turned away."""

import logging
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from leukostream.edge.stream.keys import EDGE, AllowList, read_pair

_DOMAIN = "leukostream"
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
        if keys is None:
            return
        pair = read_pair(keys, EDGE)
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(_DOMAIN, AllowList(keys))
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
        socket.zap_domain = _DOMAIN.encode()
        self._monitor = socket.get_monitor_socket(sum(_FAILURES))

    def register(self, poller: zmq.Poller) -> None:
        """Wake the poller for strangers, too."""
        if self._monitor is not None:
            poller.register(self._monitor, zmq.POLLIN)

    def look(self) -> None:
        """Log and count who was turned away since the last call."""
        while self._monitor is not None and self._monitor.poll(0):
            event = zmq.Event(recv_monitor_message(self._monitor)["event"])
            if event in _FAILURES:
                self.refused += 1
                _log.warning("%s was turned away (number %d): %s", self._who, self.refused, _FAILURES[event])

    def close(self) -> None:
        """Before the socket's context ends."""
        if self._monitor is not None:
            self._socket.disable_monitor()
            self._monitor = None
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
