"""What lies between scanner and edge: a relay that sends messages twice, and a cable with every fault that TCP hides."""

import contextlib
import random
import select
import socket
import struct
import threading
import time
from collections import Counter

import zmq

_STEP_S = 0.002
_RESET = struct.pack("ii", 1, 0)


class FaultyCable:
    """Relays TCP from `port` to `target_port`. Every fault may be asked for at any time, from any thread."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._due: dict[socket.socket, list[tuple[float, bytes]]] = {}
        self._lock = threading.Lock()
        self._deaf_until = self._slow_until = self._late_until = 0.0
        self._late_s, self._bytes_per_s = 0.0, 0.0
        self._reset = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._relay, name="faulty-cable")
        self._thread.start()

    def cut(self, reset: bool) -> None:
        """End every connection, in order (FIN) or not (RST); what is under way is gone."""
        with self._lock:
            for end in list(self._pairs):
                self._drop(end, reset)

    def half_open(self, seconds: float) -> None:
        """Pass nothing on for a while, and then drop the connections: neither side hears that the other is gone."""
        self._deaf_until = time.monotonic() + seconds

    def delay(self, seconds: float, each_s: float) -> None:
        """For a while, everything comes later."""
        self._late_s, self._late_until = each_s, time.monotonic() + seconds

    def slow(self, seconds: float, bytes_per_s: float) -> None:
        """For a while, the scanner's side is read slowly, so that buffers fill up to the edge."""
        self._bytes_per_s, self._slow_until = bytes_per_s, time.monotonic() + seconds

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        for end in [self._listener, *self._pairs]:
            end.close()

    def _relay(self) -> None:
        was_deaf = False
        while not self._closing.is_set():
            now_s = time.monotonic()
            deaf = now_s < self._deaf_until
            if was_deaf and not deaf:
                self.cut(reset=False)
            was_deaf = deaf
            with self._lock:
                ends = [self._listener, *([] if deaf else self._pairs)]
            try:
                ready, _, _ = select.select(ends, [], [], _STEP_S)
            except (OSError, ValueError):  # an end was closed by a cut meanwhile
                continue
            with self._lock:
                for end in ready:
                    if end is self._listener:
                        self._accept()
                    elif end in self._pairs:
                        self._take(end, now_s)
                self._deliver(now_s)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target_port), timeout=1)
        except OSError:  # no edge at the moment
            near.close()
            return
        far.settimeout(None)
        self._pairs |= {near: far, far: near}

    def _take(self, end: socket.socket, now_s: float) -> None:
        slow = now_s < self._slow_until
        try:
            data = end.recv(max(1, int(self._bytes_per_s * _STEP_S)) if slow else 65536)
        except OSError:
            data = b""
        if not data:
            self._drop(end, reset=False)
            return
        late_s = self._late_s * random.random() if now_s < self._late_until else 0.0
        waiting = self._due.setdefault(self._pairs[end], [])
        after_s = waiting[-1][0] if waiting else 0.0
        waiting.append((max(after_s, now_s + late_s), data))

    def _deliver(self, now_s: float) -> None:
        for end, waiting in list(self._due.items()):
            while waiting and waiting[0][0] <= now_s:
                try:
                    end.sendall(waiting[0][1])
                except OSError:
                    self._drop(end, reset=False)
                    break
                waiting.pop(0)

    def _drop(self, end: socket.socket, reset: bool) -> None:
        other = self._pairs.pop(end, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for broken in (end, other):
            self._due.pop(broken, None)
            with contextlib.suppress(OSError):
                if reset:
                    broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                broken.close()


class Duplicator:
    """Relays ZeroMQ messages between scanners and the edge at `target`, and sends one in `every` twice, both ways."""

    def __init__(self, target: str, seed: int, every: int = 8) -> None:
        self._target = target
        self._every = every
        self._random = random.Random(seed)
        self.duplicated: Counter[str] = Counter()
        self._context = zmq.Context()
        self._front = self._context.socket(zmq.ROUTER)
        self._front.setsockopt(zmq.LINGER, 0)
        self.endpoint = f"tcp://127.0.0.1:{self._front.bind_to_random_port('tcp://127.0.0.1')}"
        self._backs: dict[bytes, zmq.Socket[bytes]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._relay, name="duplicator")
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _relay(self) -> None:
        poller = zmq.Poller()
        poller.register(self._front, zmq.POLLIN)
        while not self._closing.is_set():
            for socket_, _ in poller.poll(20):
                if socket_ is self._front:
                    identity, message = self._front.recv_multipart()
                    if identity not in self._backs:
                        back = self._backs[identity] = self._context.socket(zmq.DEALER)
                        back.setsockopt(zmq.LINGER, 0)
                        back.connect(self._target)
                        poller.register(back, zmq.POLLIN)
                    for _ in range(self._times("to the edge")):
                        with contextlib.suppress(zmq.Again):
                            self._backs[identity].send(message, zmq.NOBLOCK)
                else:
                    identity = next(name for name, back in self._backs.items() if back is socket_)
                    message = socket_.recv()
                    for _ in range(self._times("from the edge")):
                        self._front.send_multipart([identity, message])
        for each in [self._front, *self._backs.values()]:
            each.close()
        self._context.term()

    def _times(self, direction: str) -> int:
        if self._random.random() < 1 / self._every:
            self.duplicated[direction] += 1
            return 2
        return 1
