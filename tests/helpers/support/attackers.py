"""Clients that send random messages to an edge: `python -m support.attackers ENDPOINT N_EACH SEED WAITS`.

A process of its own, so that what it does costs the edge only what arrives there. It prints what it was told, as JSON.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import zmq
from support.wire import RawClient

from edge.contracts.messages import PROTOCOL_VERSION, Hello
from edge.stream.codec import MAX_TO_EDGE_BYTES, MessageError, decode_to_edge

FOLDER = Path(__file__).parents[3] / "docs" / "vectors"
GOLDEN = [
    content
    for path in sorted([*FOLDER.rglob("*.json"), *FOLDER.rglob("*.msgpack")])
    if path.name != "index.json" and "from_edge" not in path.parts and (content := path.read_bytes())
]
UNREADABLE = ("malformed", "unknown_type", "too_large")
LAST = 424242
"""A version that no mutation asks for: the refusal of its HELLO says that all before was read."""
Who = Literal["stranger", "observer", "anyone"]
"""Never says HELLO, says it once, says whatever is drawn."""
ATTACKERS: tuple[Who, ...] = ("stranger", "observer", "stranger", "anyone")
_AT_ONCE = 50
_BEHIND = 300


def random_parts(dice: random.Random) -> list[bytes]:
    """One message: noise, a vector with a few bytes changed, cut off or whole, something large, or something in parts."""
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


def drawn(who: Who, seed: str) -> Iterator[tuple[list[bytes], bool]]:
    """Messages without end, and whether each is one that nobody can read."""
    dice = random.Random(seed)
    while True:
        parts, readable, is_unreadable = random_parts(dice), None, True
        if len(parts) == 1:
            try:
                readable, is_unreadable = decode_to_edge(parts[0]), False
            except MessageError as problem:
                is_unreadable = problem.reject in UNREADABLE  # a HELLO of another version is read for that alone
        if who == "anyone" or not (isinstance(readable, Hello) and readable.proto == PROTOCOL_VERSION):
            yield parts, is_unreadable


class Attacker:
    """A DEALER that sends `n` messages as fast as the edge takes them, and counts the refusals.

    Once it is `done` the edge has seen all. With `waits` it reads before so many of its refusals are on their way that the edge
    may drop some.
    """

    def __init__(self, endpoint: str, who: Who, n: int, seed: str, waits: bool) -> None:
        self.who = who
        self.unreadable = 0
        self.refusals = Counter[str]()
        self.done = False
        self._left, self._waits, self._asked_s = islice(drawn(who, seed), n), waits and who != "anyone", 0.0
        self._client = RawClient(endpoint)
        if who == "observer":
            assert self._client.hello(f"attacker {seed}", role="observer")["type"] == "WELCOME"

    @property
    def told(self) -> int:
        """Refusals of messages that nobody can read."""
        return sum(self.refusals[code] for code in UNREADABLE)

    def step(self) -> None:
        """Send some, and read what there is."""
        while self._client.socket.poll(0):
            self._take()
        if self._waits and self.unreadable - self.told > _BEHIND:
            return
        some = list(islice(self._left, _AT_ONCE))
        for parts, unreadable in some:
            self._client.socket.send_multipart(parts)
            self.unreadable += unreadable
        if not some and time.monotonic() - self._asked_s > 0.3:  # once more when it fell to the rate limit
            self._asked_s = time.monotonic()
            self._client.send(type="HELLO", proto=LAST, client_id="c")

    def close(self) -> None:
        self._client.__exit__()

    def _take(self) -> None:
        data = self._client.socket.recv(zmq.NOBLOCK)
        if data.startswith(b'{"type":"REJECT"'):
            refusal = json.loads(data)
            self.refusals[refusal["code"]] += 1
            self.done = self.done or f"asked for {LAST};" in refusal["reason"]


def main(endpoint: str, n_each: int, seed: str, waits: bool) -> None:
    """Prints, for each attacker: who it is, how many of its messages nobody can read, of how many of these it was told."""
    deadline_s = time.monotonic() + 60
    attackers = [Attacker(endpoint, who, n_each, f"{seed} {k}", waits) for k, who in enumerate(ATTACKERS)]
    while not all(attacker.done for attacker in attackers):
        for attacker in attackers:
            if not attacker.done:
                attacker.step()
        assert time.monotonic() < deadline_s, [(each.who, each.done, each.refusals) for each in attackers]
    for attacker in attackers:
        attacker.close()
    print(json.dumps([{"who": each.who, "unreadable": each.unreadable, "told": each.told} for each in attackers]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "waits")
