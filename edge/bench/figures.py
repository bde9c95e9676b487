"""How measured times become figures: percentiles, jitter, and ratios with intervals.

A ratio is of medians over rounds that took turns; its interval comes from drawing the rounds anew (percentile bootstrap). With
a handful of rounds such an interval is rough, and the more of them the better it is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARES = (50, 90, 95, 99)
_DRAWS = 4000
_LEVEL = (2.5, 97.5)
_SEED = 1
MIN_ROUNDS = 3
"""With fewer there is no interval."""


def spread(values_ms: Sequence[float] | NDArray[Any]) -> dict[str, float]:
    """p50, p90, p95, p99 and max of at least one value."""
    found = {f"p{share}": float(np.percentile(values_ms, share)) for share in SHARES}
    return found | {"max": float(np.max(values_ms))}


def jitter_ms(ends_ms: Sequence[float] | NDArray[Any]) -> float | None:
    """How uneven results come, of the moments at which they did: between the 5th and the 95th percentile of the times from one
    to the next. None of fewer than three."""
    if len(ends_ms) < 3:
        return None
    low, high = np.percentile(np.diff(ends_ms), [5, 95])
    return float(high - low)


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """Median over the rounds of above / below, where round k of the one ran beside round k of the other, and its 95 % interval
    (None with fewer than `MIN_ROUNDS`)."""
    ratios = np.asarray(above, float) / np.asarray(below, float)
    if len(ratios) < MIN_ROUNDS:
        return {"ratio": float(np.median(ratios)), "interval": None}
    drawn = np.random.default_rng(_SEED).integers(0, len(ratios), (_DRAWS, len(ratios)))
    return {"ratio": float(np.median(ratios)), "interval": _interval(np.median(ratios[drawn], axis=1))}


def unpaired_ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """The same of two measurements that did not take turns, each with rounds of its own."""
    one, other = np.asarray(above, float), np.asarray(below, float)
    ratio = float(np.median(one) / np.median(other))
    if min(len(one), len(other)) < MIN_ROUNDS:
        return {"ratio": ratio, "interval": None}
    draw = np.random.default_rng(_SEED)
    medians = [np.median(each[draw.integers(0, len(each), (_DRAWS, len(each)))], axis=1) for each in (one, other)]
    return {"ratio": ratio, "interval": _interval(medians[0] / medians[1])}


def _interval(drawn: NDArray[Any]) -> list[float]:
    low, high = np.percentile(drawn, _LEVEL)
    return [float(low), float(high)]
