"""Exact binomial limits (Clopper and Pearson 1934), without scipy.

The tail P(X >= k | n, p) rises with p, so each limit is where a tail crosses half of what the interval leaves out, found by
bisection. Tails are summed from their largest term on in units of it, which neither overflows nor cancels.
"""

import math
from collections.abc import Callable
from functools import lru_cache

CONFIDENCE = 0.95
_NEGLIGIBLE = 1e-17


@lru_cache(maxsize=4096)
def clopper_pearson(k: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
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
