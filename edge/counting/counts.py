"""Sums over the fields of a run, and the differential: each leukocyte class as a share of all leukocytes, with exact limits.

The limits are exact binomial ones (Clopper and Pearson 1934), without scipy. The tail P(X >= k | n, p) rises with p, so each
limit is where a tail crosses half of what the interval leaves out, found by bisection. Tails are summed from their largest term
on in units of it, which neither overflows nor cancels.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.records import Differential, DifferentialRow

WBC_LABELS: tuple[str, ...] = (*(cell.name for cell in CELLS if cell.is_wbc), UNIDENTIFIED)
NON_WBC_LABELS: tuple[str, ...] = (*(cell.name for cell in CELLS if not cell.is_wbc), UNIDENTIFIED_NON_WBC)
_LABELS = frozenset(WBC_LABELS + NON_WBC_LABELS)

_CONFIDENCE = 0.95
_NEGLIGIBLE = 1e-17


class RunningCounts:
    """Cells per label so far. Only fields that are counted are added; a failed field adds nothing, not even zeros."""

    def __init__(self) -> None:
        self._cells: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        """Add one field's counts per label. Raises ValueError for a label that no cell can have, or a negative count."""
        for label, count in counts.items():
            if label not in _LABELS or count < 0:
                raise ValueError(f"{count} cells of {label!r} cannot be counted; the labels are {sorted(_LABELS)}")
        self._cells.update(counts)

    @property
    def cells(self) -> dict[str, int]:
        """Cells per label; labels without a cell are left out."""
        return {label: count for label, count in self._cells.items() if count}

    @property
    def wbc_total(self) -> int:
        return wbc_total(self._cells)

    def differential(self) -> Differential:
        """The differential of everything added so far."""
        return differential(self._cells)


def wbc_total(cells: Mapping[str, int]) -> int:
    """Leukocytes among counts per label, `unidentified` ones included."""
    return sum(cells.get(label, 0) for label in WBC_LABELS)


def differential(cells: Mapping[str, int]) -> Differential:
    """The differential of counts per label, rows in the order of the class table, classes without a cell included.

    Without a leukocyte there is no differential: `rows` and `non_wbc_per_100_wbc` are empty.
    """
    total = wbc_total(cells)
    if total == 0:
        return Differential(wbc_total=0, rows=(), non_wbc_per_100_wbc={})
    per_100 = {label: 100.0 * cells[label] / total for label in NON_WBC_LABELS if cells.get(label)}
    return Differential(
        wbc_total=total,
        rows=tuple(_row(label, cells.get(label, 0), total) for label in WBC_LABELS),
        non_wbc_per_100_wbc=per_100,
    )


def _row(label: str, count: int, total: int) -> DifferentialRow:
    low, high = clopper_pearson(count, total)
    return DifferentialRow(
        label=label, count=count, percent=100.0 * count / total, low_percent=100.0 * low, high_percent=100.0 * high
    )


@lru_cache(maxsize=4096)
def clopper_pearson(k: int, n: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """Lower and upper limit, fractions, of `k` successes out of `n`. Raises ValueError unless 0 <= k <= n and n >= 1."""
    if not 0 <= k <= n or n < 1:
        raise ValueError(f"{k} out of {n} is no binomial count")
    alpha = (1.0 - confidence) / 2
    low = 0.0 if k == 0 else _crossing(lambda p: _at_least(k, n, p) >= alpha)
    # By symmetry: P(X <= k | p) is P(Y >= n - k | 1 - p) for the failures Y.
    high = 1.0 if k == n else 1.0 - _crossing(lambda q: _at_least(n - k, n, q) >= alpha)
    return low, high


def _crossing(reached: Callable[[float], bool]) -> float:
    """Smallest p in (0, 1) for which the monotonic `reached` holds, to the last bit."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) for X binomial(n, p), 1 <= k <= n, 0 < p < 1."""
    mode = min(n, math.floor((n + 1) * p))
    if k > mode:
        return _sum_up(k, n, p)
    # The other tail is the small one: P(X >= k) = 1 - P(Y >= n - k + 1) for the failures Y.
    return 1.0 - _sum_up(n - k + 1, n, 1.0 - p)


def _sum_up(k: int, n: int, p: float) -> float:
    """Sum of the terms k..n, which fall from k on."""
    odds = p / (1.0 - p)
    log_first = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    term = total = 1.0
    for i in range(k, n):
        term *= odds * (n - i) / (i + 1)
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return math.exp(log_first) * total
