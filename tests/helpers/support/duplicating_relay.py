"""A relay of whole messages between DEALERs and a ROUTER that sends some of them twice, at once or later."""

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgpack
import zmq

_POLL_MS = 5
_LATE_S = 0.15
"""A second copy comes within so many seconds."""
RECORDS = {"run_start", "field", "advice", "event", "run_stop"}


@dataclass(slots=True)
class _Peer:
    """A client, and the DEALER that plays it towards the edge."""

    identity: bytes
    dealer: "zmq.Socket[bytes]"
    late: list[tuple[float, bool, bytes]] = field(default_factory=list)
    """(when, whether to the edge, the copy)"""


class DuplicatingRelay:
    """Of all messages `share` are sent twice, half of these at once and half later, after younger ones; drawn from `seed`.

    Each client that connects to `address` is another client of `edge`; once the relay finds that it has gone, so has its other
    self. `duplicated` counts the copies by type, `resent` the records that the edge itself sent once more.
    """

    def __init__(self, edge: str, share: float, seed: int = 0) -> None:
        self.duplicated: Counter[str] = Counter()
        self.resent = 0
        self.passed = 0
        self._seen: set[tuple[str, int]] = set()
        self._edge = edge
        self._share = share
        self._random = random.Random(seed)
        self._context = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.setsockopt(zmq.SNDHWM, 0)  # without a limit: a relay may repeat a message, it must not lose one
        port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self.address = ("127.0.0.1", port)
        self._peers: dict[bytes, _Peer] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duplicating-relay", daemon=True)
        self._thread.start()

    def __enter__(self) -> "DuplicatingRelay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything, the thread too. Safe to repeat."""
        self._closing.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        while not self._closing.is_set():
            ready = dict(poller.poll(_POLL_MS))
            while self._router in ready and self._router.poll(0):
                identity, *parts = self._router.recv_multipart()
                peer = self._peers.get(identity)
                if peer is None:
                    peer = self._peers[identity] = _Peer(identity, self._connected())
                    poller.register(peer.dealer, zmq.POLLIN)
                self._relay(peer, True, parts)
            for peer in list(self._peers.values()):
                there = True
                while there and peer.dealer in ready and peer.dealer.poll(0):
                    there = self._relay(peer, False, peer.dealer.recv_multipart())
                if not (there and self._send_late(peer)):
                    poller.unregister(peer.dealer)
                    peer.dealer.close(0)
                    del self._peers[peer.identity]

    def _connected(self) -> "zmq.Socket[bytes]":
        dealer = self._context.socket(zmq.DEALER)
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.SNDHWM, 0)
        dealer.connect(self._edge)
        return dealer

    def _relay(self, peer: _Peer, to_edge: bool, parts: list[bytes]) -> bool:
        """Whether the client is still there."""
        self.passed += 1
        message = _read(parts[-1])
        kind = str(message.get("type"))
        if kind in RECORDS:
            place = (str(message["run_id"]), int(message["seq"]))
            self.resent += place in self._seen
            self._seen.add(place)
        there = self._send(peer, to_edge, parts)
        if self._random.random() < self._share:
            self.duplicated[kind] += 1
            if self._random.random() < 0.5:
                return self._send(peer, to_edge, parts)
            if len(parts) == 1:
                peer.late.append((time.monotonic() + _LATE_S * self._random.random(), to_edge, parts[0]))
        return there

    def _send_late(self, peer: _Peer) -> bool:
        now_s = time.monotonic()
        due = [each for each in peer.late if each[0] <= now_s]
        peer.late = [each for each in peer.late if each[0] > now_s]
        return all([self._send(peer, to_edge, [copy]) for _, to_edge, copy in due])

    def _send(self, peer: _Peer, to_edge: bool, parts: list[bytes]) -> bool:
        try:
            if to_edge:
                peer.dealer.send_multipart(parts, zmq.NOBLOCK)
            else:
                self._router.send_multipart([peer.identity, *parts], zmq.NOBLOCK)
        except zmq.ZMQError as problem:
            if problem.errno != zmq.EHOSTUNREACH:
                raise
            return False
        return True


def _read(part: bytes) -> dict[str, Any]:
    message = json.loads(part) if part[:1] == b"{" else msgpack.unpackb(part)
    return message if isinstance(message, dict) else {}
