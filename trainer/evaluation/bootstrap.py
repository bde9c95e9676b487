"""Limits of average precision by resampling whole groups of images (Efron and Tibshirani 1993, chapter 13: percentiles)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.average_precision import Curve
from trainer.evaluation.settings import ROUNDS
from trainer.evaluation.summary import BootstrapLimits, Limits

AT_ONCE = 100
"""Rounds computed together: bounds the memory, not the result."""


def bootstrap(
    classes: Sequence[Curve], wbc: Curve, groups: Sequence[int], resampled: str, rounds: int = ROUNDS, seed: int = 0
) -> BootstrapLimits:
    """95 % limits of mAP over `classes` and of the AP of any leukocyte.

    `groups` [images] says which images are drawn together. A round's mAP is over the classes it has truth of. Matching does not
    change with the draw, so a draw is only a weight for each image.
    """
    weights = draw(groups, rounds, seed)
    by_class = np.array([weighted_ap(curve, weights) for curve in classes])
    known = ~np.isnan(by_class)
    total = np.where(known, by_class, 0.0).sum(axis=0)
    mean = np.divide(total, known.sum(axis=0), out=np.full(rounds, np.nan), where=known.any(axis=0))
    return BootstrapLimits(wbc_ap=_limits(weighted_ap(wbc, weights)), map=_limits(mean), rounds=rounds, resampled=resampled)


def draw(groups: Sequence[int], rounds: int, seed: int) -> NDArray[np.int64]:
    """How often each image is in each round, groups drawn with replacement: [rounds, images]."""
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    n = int(which.max()) + 1
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=rounds)
    drawn: NDArray[np.int64] = times[:, which.ravel()]
    return drawn


def weighted_ap(curve: Curve, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """All-point AP with image k present `weights[:, k]` times: [rounds], nan where a round has no truth.

    Equal to AP over the repeated images: of a detection's copies in a row the last has the envelope of all.
    """
    hits = np.flatnonzero(curve.is_true)
    n_truth = (weights @ curve.truth_by_image).astype(np.float64)
    area = np.zeros(len(weights))
    for first in range(0, len(weights) if len(hits) else 0, AT_ONCE):
        part = slice(first, first + AT_ONCE)
        # What comes after the last hit changes nothing.
        present = weights[part][:, curve.images[: hits[-1] + 1]]
        weight = present[:, hits]
        precision = weight.cumsum(axis=1) / np.maximum(present.cumsum(axis=1)[:, hits], 1)
        area[part] = (np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1] * weight).sum(axis=1)
    ap = np.full(len(weights), np.nan)
    np.divide(area, n_truth, out=ap, where=n_truth > 0)
    return ap


def _limits(values: NDArray[np.float64]) -> Limits | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), min(float(high), 1.0)
