"""Random messages at the live socket: whatever comes, from strangers and from within a session, the run is unharmed."""

import random
import threading
from collections import Counter
from pathlib import Path

import psutil
import pytest
import zmq
from support.scripted_run import StartEdge
from support.wire import RawClient

from leukostream.edge.contracts.records import RunStop
from leukostream.edge.stream.client import Controller
from leukostream.edge.stream.codec import MAX_TO_EDGE_BYTES
from leukostream.edge.stream.settings import ClientSettings, StreamSettings

pytestmark = pytest.mark.timeout(120)
VECTORS = sorted((Path(__file__).parents[3] / "docs" / "vectors").rglob("*.json")) + sorted(
    (Path(__file__).parents[3] / "docs" / "vectors").rglob("*.msgpack")
)
GOLDEN = [
    path.read_bytes() for path in VECTORS if path.name != "index.json" and path.stat().st_size and "from_edge" not in path.parts
]
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


class Attacker:
    """A DEALER that sends `n` random messages as fast as the edge takes them, and counts what it is answered."""

    def __init__(self, endpoint: str, n: int, seed: int, session: bool) -> None:
        self.sent, self.answers = 0, Counter[str]()
        self._endpoint, self._n, self._seed, self._session = endpoint, n, seed, session
        self._thread = threading.Thread(target=self._attack, name="attacker")
        self._thread.start()

    def join(self) -> None:
        self._thread.join(100)
        assert not self._thread.is_alive()

    def _attack(self) -> None:
        dice = random.Random(self._seed)
        with RawClient(self._endpoint) as client:
            if self._session:
                assert client.hello(f"attacker-{self._seed}", role="observer")["type"] == "WELCOME"
            for _ in range(self._n):
                client.socket.send_multipart(random_parts(dice))
                self.sent += 1
                while client.socket.poll(0):
                    self._take(client)
            while client.socket.poll(300):
                self._take(client)

    def _take(self, client: RawClient) -> None:
        data = client.socket.recv(zmq.NOBLOCK)
        for code in ("malformed", "unknown_type", "state", "too_large", "rate", "protocol", "encoding", "busy", "unknown_run"):
            if data.startswith(b'{"type":"REJECT"') and f'"code":"{code}"'.encode() in data[:60]:
                self.answers[code] += 1


@pytest.mark.parametrize(
    ("n_each", "settings"),
    [
        pytest.param(25_000, {"messages_per_s": 1e9, "strangers_per_s": 1e9}, id="100,000 that are all decoded"),
        pytest.param(2_500, {"messages_per_s": 200, "strangers_per_s": 100}, id="10,000 against low limits"),
    ],
)
def test_the_run_is_unharmed(start_edge: StartEdge, n_each: int, settings: dict[str, float]) -> None:
    edge = start_edge(n_fields=2_000, hold=True, settings=StreamSettings.model_validate(settings))
    before_mb = psutil.Process().memory_info().rss / _MB
    with Controller(edge.endpoint, client_id="scanner", settings=ClientSettings(dead_after_s=30)) as controller:
        controller.connect()
        controller.start_run(run_id="5f0c6a52-the-controllers-own")
        attackers = [Attacker(edge.endpoint, n_each, seed, session=seed % 2 == 1) for seed in range(4)]
        seqs = []
        for record in controller.records():
            seqs.append(record.seq)
            edge.run.go.release()
            if isinstance(record, RunStop):
                break
        for attacker in attackers:
            attacker.join()
        assert seqs == list(range(2_002))
        assert controller.query().runs[-1].finished
    assert [attacker.sent for attacker in attackers] == [n_each] * 4
    answered = sum((attacker.answers for attacker in attackers), Counter[str]())
    assert answered["malformed"] and answered["state"], answered
    assert bool(edge.server.rejects["rate"]) is (settings["messages_per_s"] < 1e9)
    assert edge.server.alive
    assert psutil.Process().memory_info().rss / _MB - before_mb < 150
