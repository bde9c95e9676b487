"""Every batch, deadline and field rate on this machine's engine, through the pipeline that a run turns."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from calib.latency_choice import Cell
from edge.camera.memory_source import images_of
from edge.contracts.latency import EngineIdentity
from edge.pipeline import opened
from edge.pipeline.latency_fit import identity_of
from edge.pipeline.paced_run import Paced, run_paced
from edge.settings import Setup

_IMAGES = 16
_LONGEST_S = 8.0
_FEWEST = 20
"""Fields of a run at a fixed rate, even where they take longer than `_LONGEST_S`."""
_SEED = 1
_HOPELESS = 2.5
"""Times what the engine did at full speed: triggers that are faster cannot be kept, and each try would cost as long as a
whole run. The slowest rate is always tried."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to try; `fields` of each run, fewer where a slow rate would make it long."""

    batches: tuple[int, ...]
    deadlines_ms: tuple[float, ...]
    rates_per_s: tuple[float, ...]
    fields: int

    @property
    def runs(self) -> int:
        """How many there are, with those at full speed."""
        return len(self.batches) * len(self.deadlines_ms) * (len(self.rates_per_s) + 1)


def sweep_latency(setup: Setup, sweep: Sweep, passed: Callable[[int], object]) -> tuple[list[Cell], EngineIdentity]:
    """Run all of them, within one engine in random order, so that what else the machine does falls on none more than on others.

    A record counts as there when the journal has it; the way to the controller comes on top (`leuko-edge bench-stream`).
    Raises what opening source and engine does, and `EngineError`.
    """
    cells: list[Cell] = []
    identity: EngineIdentity | None = None
    for batch in sweep.batches:
        own = replace(setup, settings=setup.settings.model_copy(update={"max_batch": batch}))
        with opened(own) as parts:
            images = images_of(parts.source, _IMAGES)
            identity = identity_of(parts.engine.info, setup.bundle, setup.settings.threads)
            # It warms up what the engine's own warm-up does not, and says how long a run will take.
            most_per_s = run_paced(own, parts, images, _FEWEST, None).reached_per_s
            runs: list[tuple[float, float | None]] = list(product(sweep.deadlines_ms, (None, *sweep.rates_per_s)))
            random.Random(_SEED + batch).shuffle(runs)
            hopeless = [rate for rate in sweep.rates_per_s if rate > _HOPELESS * most_per_s and rate > min(sweep.rates_per_s)]
            for deadline_ms, rate_per_s in runs:
                if rate_per_s in hopeless:
                    passed(1)
                    continue
                at = replace(own, settings=own.settings.model_copy(update={"max_delay_ms": deadline_ms}))
                found = run_paced(at, parts, images, _fields(sweep.fields, rate_per_s, most_per_s), rate_per_s)
                cells.append(cell_of(batch, deadline_ms, found))
                passed(1)
    assert identity is not None
    return cells, identity


def cell_of(batch: int, deadline_ms: float, run: Paced) -> Cell:
    """The figures of one run."""
    return Cell(
        max_batch=batch,
        deadline_ms=deadline_ms,
        rate_per_s=run.rate_per_s,
        reached_per_s=run.reached_per_s,
        kept=run.kept,
        p99_ms=float(np.percentile(run.latency_ms, 99)),
        overshoot_fields=float(run.overshoot_fields().mean()),
    )


def _fields(fields: int, rate_per_s: float | None, most_per_s: float) -> int:
    """Of a run at this rate; a rate that the engine cannot keep takes as long as the engine does."""
    pace_per_s = most_per_s if rate_per_s is None else min(rate_per_s, most_per_s)
    return min(fields, max(_FEWEST, int(_LONGEST_S * pace_per_s)))


def numbers(words: str) -> Sequence[float]:
    """Of a list with commas. Raises ValueError."""
    return tuple(float(word) for word in words.split(","))
