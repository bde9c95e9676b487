"""Contestants that take turns: what each did in its rounds, after one round that does not count."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.bench.figures import jitter_ms, spread
from edge.bench.memory import resident_bytes
from edge.watch.work_progress import Passed


@dataclass(frozen=True, slots=True)
class Turn:
    """What one round of one contestant took: per field, of every field or call, and when each result was there.

    `times_ms` are of what the contestant says (a call, or a field from memory to record), `ends_ms` on any clock.
    """

    ms_per_field: float
    times_ms: Sequence[float]
    ends_ms: Sequence[float]
    stages_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contestant:
    """`run` performs one round of so many fields; `what` says in a few words what is measured."""

    name: str
    what: str
    run: Callable[[int], Turn]
    n_fields: int | None = None
    """of its rounds, where they differ from the others'"""


@dataclass
class Rounds:
    """All counted rounds of one contestant."""

    name: str
    what: str
    ms_per_field: list[float] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    jitters_ms: list[float] = field(default_factory=list)
    cpu_percent: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    stages_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, turn: Turn, cpu_percent: float) -> None:
        self.ms_per_field.append(turn.ms_per_field)
        self.times_ms += turn.times_ms
        if (uneven := jitter_ms(turn.ends_ms)) is not None:
            self.jitters_ms.append(uneven)
        self.cpu_percent.append(cpu_percent)
        self.memory_mb = max(self.memory_mb, resident_bytes() / 1e6)
        for name, values in turn.stages_ms.items():
            self.stages_ms.setdefault(name, []).extend(values)

    def as_json(self) -> dict[str, Any]:
        """The figures, and the rounds that they are of."""
        ms = float(np.median(self.ms_per_field))
        return {
            "what": self.what,
            "rounds_ms_per_field": self.ms_per_field,
            "ms_per_field": ms,
            "fields_per_s": 1e3 / ms,
            "time_ms": spread(self.times_ms),
            "jitter_ms": float(np.median(self.jitters_ms)) if self.jitters_ms else None,
            "cpu_percent": float(np.median(self.cpu_percent)),
            "memory_mb": self.memory_mb,
            "stages_ms": {name: spread(values) for name, values in self.stages_ms.items()},
        }


def take_turns(contestants: Sequence[Contestant], n_fields: int, rounds: int, passed: Passed) -> dict[str, Rounds]:
    """Run each once in every round, each round beginning with another of them, so that what else the machine does meets all.

    `cpu_percent` is of this process, 100 for each core that is busy all the time; what a controller in another process takes is
    not in it.
    """
    found = {each.name: Rounds(each.name, each.what) for each in contestants}
    for number in range(rounds + 1):
        first = number % len(contestants)
        for each in (*contestants[first:], *contestants[:first]):
            began_s, worked_s = time.monotonic(), time.process_time()
            turn = each.run(each.n_fields or n_fields)
            took_s = time.monotonic() - began_s
            if number:
                found[each.name].add(turn, 100 * (time.process_time() - worked_s) / max(took_s, 1e-9))
            passed(1)
    return found
