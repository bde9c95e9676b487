"""Random messages at the live socket: whatever comes, from strangers and from within a session, the run is unharmed."""

import json
import random
import threading
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import zmq
from support.scripted_run import StartEdge
from support.wire import RawClient

from leukostream.edge.stream.client import Controller
from leukostream.edge.stream.codec import MAX_TO_EDGE_BYTES, MessageError, decode_to_edge
from leukostream.edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(120)
VECTORS = sorted((Path(__file__).parents[3] / "docs" / "vectors").rglob("*.json")) + sorted(
    (Path(__file__).parents[3] / "docs" / "vectors").rglob("*.msgpack")
)
GOLDEN = [
    path.read_bytes() for path in VECTORS if path.name != "index.json" and path.stat().st_size and "from_edge" not in path.parts
]
LAST = 424242
"""A version that no mutation asks for: its refusal says that all before it was read, too."""
_MB = 2**20


def random_parts(dice: random.Random) -> list[bytes]:
    """One message: noise, a vector with a few bytes changed, cut off or doubled, something large, or something in parts."""
    kind = dice.random()
    if kind < 0.25:
        return [dice.randbytes(dice.randrange(200))]
    vector = bytearray(dice.choice(GOLDEN))
    if kind < 0.65:
        for _ in range(dice.randrange(1, 4)):
            vector[dice.randrange(len(vector))] = dice.randrange(256)
        return [bytes(vector)]
    if kind < 0.85:
        return [bytes(vector[: dice.randrange(len(vector))])]
    if kind < 0.95:
        return [bytes(vector)]
    if kind < 0.9505:
        return [b"{" + b" " * dice.randrange(MAX_TO_EDGE_BYTES, 2 * MAX_TO_EDGE_BYTES)]
    return [bytes(vector), *(dice.randbytes(8) for _ in range(dice.randrange(1, 4)))]


def is_refused(parts: list[bytes]) -> bool:
    """By whoever reads it, whatever his session."""
    if len(parts) != 1:
        return True
    try:
        decode_to_edge(parts[0])
    except MessageError:
        return True
    return False


class Attacker:
    """A DEALER that sends `n` random messages as fast as the edge takes them, and counts what it is answered.

    `refused` of them cannot be read. Once it has ended the edge has seen all.
    """

    def __init__(self, endpoint: str, n: int, seed: int, session: bool) -> None:
        self.sent, self.refused, self.answers = 0, 0, Counter[str]()
        self._endpoint, self._n, self._seed, self._session = endpoint, n, seed, session
        self._done = False
        self._thread = threading.Thread(target=self._attack, name="attacker")
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(100)
        assert not self.alive

    def _attack(self) -> None:
        dice = random.Random(self._seed)
        with RawClient(self._endpoint) as client:
            if self._session:
                assert client.hello(f"attacker-{self._seed}", role="observer")["type"] == "WELCOME"
            for _ in range(self._n):
                parts = random_parts(dice)
                client.socket.send_multipart(parts)
                self.sent += 1
                self.refused += is_refused(parts)
                while client.socket.poll(0):
                    self._take(client)
            while not self._done:  # again when it fell to the rate limit
                self.sent += 1
                client.send(type="HELLO", proto=LAST, client_id="c")
                for _ in range(10_000):
                    if self._done or not client.socket.poll(300):
                        break
                    self._take(client)

    def _take(self, client: RawClient) -> None:
        data = client.socket.recv(zmq.NOBLOCK)
        if data.startswith(b'{"type":"REJECT"'):
            refusal = json.loads(data)
            self.answers[refusal["code"]] += 1
            self._done = self._done or f"asked for {LAST};" in refusal["reason"]


@pytest.mark.parametrize(
    ("n_each", "settings"),
    [
        pytest.param(25_000, StreamSettings(messages_per_s=1e9, strangers_per_s=1e9), id="100,000 that are all decoded"),
        pytest.param(2_500, StreamSettings(), id="10,000 against the limits of every edge"),
        pytest.param(1_000, StreamSettings(messages_per_s=200, strangers_per_s=100), id="4,000 against low limits"),
    ],
)
def test_the_run_is_unharmed(start_edge: StartEdge, n_each: int, settings: StreamSettings) -> None:
    edge = start_edge(n_fields=10**6, hold=True, settings=settings)
    seqs, after_mb, attackers = [], [], list[Attacker]()
    with Controller(edge.endpoint, client_id="scanner", settings=ClientSettings(dead_after_s=30)) as controller:
        controller.connect()
        run_id = controller.start_run()
        for wave in range(2):
            attackers += [Attacker(edge.endpoint, n_each // 2, 2 * wave + seed, session=seed % 2 == 1) for seed in range(4)]
            while any(attacker.alive for attacker in attackers):
                edge.run.go.release()
                record = controller.poll(1.0)
                seqs += [record.seq] if record else []
                time.sleep(0.005)
            after_mb.append(psutil.Process().memory_info().rss / _MB)
        controller.stop_run(run_id)
        seqs += [record.seq for record in controller.records()]
        assert seqs == list(range(edge.journal.next_seq(run_id)))
        assert controller.query().runs[-1].finished
    for attacker in attackers:
        attacker.join()
    assert len(seqs) > 50, "the run was in progress meanwhile"
    assert after_mb[1] - after_mb[0] < 30
    rejects, unlimited = edge.server.rejects, settings.messages_per_s == 1e9
    answered = sum((attacker.answers for attacker in attackers), Counter[str]())
    assert set(answered) >= {"malformed", "unknown_type", "state", "too_large"} or not unlimited, answered
    if unlimited:
        unreadable = rejects["malformed"] + rejects["unknown_type"] + rejects["too_large"]
        assert unreadable == sum(attacker.refused for attacker in attackers), "every one of them was read, and refused"
        assert answered == +Counter(rejects), "and every refusal told"
    assert bool(rejects["rate"]) is not unlimited
    assert edge.server.alive
