"""Damage as disks, copies and networks do it to a file, drawn from a seed, and what became of it behind a reader."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.contracts.errors import FrameError

Damage = Callable[[bytes, np.random.Generator, int], bytes]
"""Content, where chance comes from, and the first byte that may be touched."""

BLOCK = 512


def _place(content: bytes, rng: np.random.Generator, first: int, room: int) -> int:
    return int(rng.integers(first, max(first + 1, len(content) - room)))


def _size(content: bytes, rng: np.random.Generator, first: int) -> int:
    """A block of a disk or a part of one, never more than a fifth of what may be touched."""
    return max(8, min(int(rng.choice([64, BLOCK, 8 * BLOCK])), (len(content) - first) // 5))


def _cut(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    return content[: _place(content, rng, first, 1)]


def _end_of_zeros(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    at = _place(content, rng, first, 8)
    return content[:at] + bytes(len(content) - at)


def _zeroed(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    n = _size(content, rng, first)
    at = _place(content, rng, first, n)
    return content[:at] + bytes(n) + content[at + n :]


def _noise(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    n = _size(content, rng, first)
    at = _place(content, rng, first, n)
    return content[:at] + rng.bytes(n) + content[at + n :]


def _flipped(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    at = _place(content, rng, first, 1)
    return content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :]


def _doubled(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    n = _size(content, rng, first)
    at = _place(content, rng, first, n)
    return content[: at + n] + content[at:]


def _left_out(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    n = _size(content, rng, first)
    at = _place(content, rng, first, n)
    return content[:at] + content[at + n :]


def _repeated(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    """A block again in the place of the next one."""
    n = _size(content, rng, first)
    at = _place(content, rng, first, 2 * n)
    return content[: at + n] + content[at : at + n] + content[at + 2 * n :]


def _shuffled(content: bytes, rng: np.random.Generator, first: int) -> bytes:
    """Two blocks in each other's place."""
    n = _size(content, rng, first)
    one, other = sorted(_place(content, rng, first, n) for _ in range(2))
    other = max(other, one + n)
    if other + n > len(content):
        one, other = first, len(content) - n
    return content[:one] + content[other : other + n] + content[one + n : other] + content[one : one + n] + content[other + n :]


DAMAGES: dict[str, Damage] = {
    "cut": _cut,
    "end of zeros": _end_of_zeros,
    "zeroed block": _zeroed,
    "noise": _noise,
    "flipped bit": _flipped,
    "doubled block": _doubled,
    "block left out": _left_out,
    "block repeated": _repeated,
    "blocks exchanged": _shuffled,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of files with one kind of damage: refused; read as if whole, and whole; read as if whole, with other pixels."""

    refused: int = 0
    unharmed: int = 0
    wrong: int = 0

    @property
    def share(self) -> float:
        """Of those that were harmed, how many were refused."""
        harmed = self.refused + self.wrong
        return self.refused / harmed if harmed else 1.0


def sweep(
    content: bytes, read: Callable[[bytes], list[np.ndarray]], damage: Damage, n: int, seed: int, first: int = 0
) -> tuple[Outcome, list[bytes]]:
    """Damage a file `n` times; `read` gives its pictures or raises `FrameError`. The outcome, and what passed wrong."""
    whole = read(content)
    seen, passed = Counter[str](), []
    for index in range(n):
        damaged = damage(content, np.random.default_rng((seed, index)), first)
        if damaged == content:
            continue
        try:
            got = read(damaged)
        except FrameError as problem:
            if not str(problem).endswith("."):
                raise AssertionError(f"no sentence: {problem}") from problem
            seen["refused"] += 1
            continue
        same = len(got) == len(whole) and all(np.array_equal(one, other) for one, other in zip(got, whole, strict=True))
        seen["unharmed" if same else "wrong"] += 1
        if not same:
            passed.append(damaged)
    return Outcome(seen["refused"], seen["unharmed"], seen["wrong"]), passed
