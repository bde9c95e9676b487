"""Which batch and deadline: the most throughput whose delay and overshoot stay within a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.contracts.errors import DataError
from edge.contracts.latency import LatencyBudget

_AS_FAST = 0.02
"""Settings whose throughput differs by less are equally fast: the one with less delay is taken."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of the sweep. `rate_per_s` None: at full speed, for which a budget means nothing."""

    max_batch: int
    deadline_ms: float
    rate_per_s: float | None
    reached_per_s: float
    kept: bool
    p99_ms: float
    overshoot_fields: float

    @property
    def setting(self) -> tuple[int, float]:
        """What was set."""
        return self.max_batch, self.deadline_ms


@dataclass(frozen=True, slots=True)
class Held:
    """What one setting can bear: `best` is its fastest run such that it and all slower ones were within the budget; None when
    not even the slowest was."""

    max_batch: int
    deadline_ms: float
    best: Cell | None
    fields_per_s: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The setting that was chosen, among all."""

    chosen: Held
    all: tuple[Held, ...]


def within(cell: Cell, budget: LatencyBudget) -> bool:
    """Whether a run at a fixed rate kept up, and within the budget."""
    return cell.kept and cell.p99_ms <= budget.p99_ms and cell.overshoot_fields <= budget.overshoot_fields


def held(cells: Sequence[Cell], budget: LatencyBudget) -> tuple[Held, ...]:
    """Of every setting, in the order of batch and deadline."""
    found = []
    for setting in sorted({cell.setting for cell in cells}):
        best = None
        own = [cell for cell in cells if cell.setting == setting]
        for cell in sorted((each for each in own if each.rate_per_s is not None), key=lambda each: each.rate_per_s or 0.0):
            if not within(cell, budget):
                break
            best = cell
        full_speed = [cell.reached_per_s for cell in own if cell.rate_per_s is None]
        found.append(Held(*setting, best, max(full_speed, default=0.0)))
    return tuple(found)


def choose(cells: Sequence[Cell], budget: LatencyBudget) -> Choice:
    """The setting that bears the fastest triggers; of those the one that is faster at full speed, by more than noise; of those
    the one with less delay. Raises `DataError` when none stays within the budget even at the slowest rate."""
    every = held(cells, budget)
    able = [(each, each.best) for each in every if each.best is not None]
    if not able:
        slowest = min(cell.rate_per_s for cell in cells if cell.rate_per_s is not None)
        nearest = min((cell for cell in cells if cell.rate_per_s == slowest), key=lambda cell: cell.p99_ms)
        raise DataError(
            f"no setting keeps p99 within {budget.p99_ms:g} ms and {budget.overshoot_fields:g} fields of overshoot at "
            f"{slowest:g} fields per second; the nearest is batch {nearest.max_batch} with a deadline of "
            f"{nearest.deadline_ms:g} ms: p99 {nearest.p99_ms:.0f} ms, overshoot {nearest.overshoot_fields:.1f}. Allow more "
            "with --p99-ms and --overshoot, trigger more slowly (--rate), or use a faster engine."
        )
    fastest = max(best.rate_per_s or 0.0 for _, best in able)
    rows = [(each, best) for each, best in able if best.rate_per_s == fastest]
    speed = max(each.fields_per_s for each, _ in rows)
    rows = [(each, best) for each, best in rows if each.fields_per_s >= (1 - _AS_FAST) * speed]
    return Choice(min(rows, key=lambda row: (row[1].p99_ms, row[0].max_batch, row[0].deadline_ms))[0], every)
