"""The controller of the letter on the wire: DEALERs, one after the other; those abandoned still deliver what they hold."""

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import zmq

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LetterKeys:
    """The two files that a client of an edge with keys is given."""

    own_secret: Path
    edge_public: Path

    def apply(self, socket: "zmq.Socket[bytes]") -> None:
        own = _keys_of(self.own_secret)
        socket.setsockopt(zmq.CURVE_SERVERKEY, _keys_of(self.edge_public)["public-key"])
        socket.setsockopt(zmq.CURVE_PUBLICKEY, own["public-key"])
        socket.setsockopt(zmq.CURVE_SECRETKEY, own["secret-key"])


def _keys_of(file: Path) -> dict[str, bytes]:
    found = {}
    for line in file.read_text().splitlines():
        if not line.startswith("#") and "=" in line:
            name, _, value = line.partition("=")
            found[name.strip()] = value.strip().strip('"').encode()
    return found


class LetterSocket:
    """`abandon` gives up a DEALER and opens another. The old one goes on in the background for its linger, in which libzmq
    connects it again and delivers what was sent over it, whenever that is; some are not even closed for a while. The document
    advises against all of it: an edge bears it all the same."""

    def __init__(self, endpoint: str, keys: LetterKeys | None, draw: random.Random) -> None:
        self._endpoint, self._keys, self._draw = endpoint, keys, draw
        self._context = zmq.Context()
        self._left_open: list[zmq.Socket[bytes]] = []
        self.encoding = "json"
        self.heard_s = time.monotonic()
        self._socket = self._opened()

    def _opened(self) -> "zmq.Socket[bytes]":
        socket = self._context.socket(zmq.DEALER)
        if self._keys is not None:
            self._keys.apply(socket)
        socket.setsockopt(zmq.LINGER, 500)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.connect(self._endpoint)
        return socket

    def abandon(self) -> None:
        """Another DEALER takes over. What this one still holds may arrive late, or never."""
        match self._draw.choice(["close", "linger on", "leave open"]):
            case "close":
                self._socket.close()
            case "linger on":
                self._socket.close(linger=3000)
            case _:
                self._left_open.append(self._socket)
                if len(self._left_open) > 2:
                    self._left_open.pop(0).close()
        self._socket = self._opened()
        self.encoding = "json"
        self.heard_s = time.monotonic()

    def send(self, message: Message) -> None:
        """JSON before WELCOME, then either encoding as it comes. What libzmq has no room for is lost, as on a cable."""
        packed = self.encoding == "msgpack" and message["type"] != "HELLO" and self._draw.random() < 0.8
        data = msgpack.packb(message) if packed else json.dumps(message).encode()
        try:
            self._socket.send(data, zmq.DONTWAIT)
        except zmq.Again:
            return

    def receive(self, wait_s: float) -> bytes | None:
        """One message, or None when none came in that time."""
        if not self._socket.poll(int(wait_s * 1000)):
            return None
        parts = self._socket.recv_multipart()
        assert len(parts) == 1, "the edge sent a message of several parts"
        self.heard_s = time.monotonic()
        return parts[0]

    def close(self) -> None:
        """The last ACK still leaves."""
        for socket in self._left_open:
            socket.close()
        self._socket.close()
        self._context.term()


def decoded(data: bytes, encoding: str) -> Message:
    """A message from the edge. Raises `ValueError` for what the document rules out."""
    if data[:1] == b"{":
        message: Message = json.loads(data, object_pairs_hook=_each_key_once)
        if data.endswith(b"\n") or b"\n" in data:
            raise ValueError("a JSON message has a line end in it")
    else:
        message = msgpack.unpackb(data, strict_map_key=True)
    if next(iter(message)) != "type":
        raise ValueError(f"`type` is not the first key of {message}")
    always_json = message["type"] in {"WELCOME", "REJECT"}
    if (data[:1] == b"{") != (always_json or encoding == "json"):
        raise ValueError(f"{message['type']} came in another encoding than {encoding}")
    for name, value in message.items():
        if name.endswith("_ns") and value is not None and not isinstance(value, str):
            raise ValueError(f"{name} of {message['type']} is no decimal string")
    return message


def _each_key_once(pairs: list[tuple[str, Any]]) -> Message:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError("a key came twice")
    return message
