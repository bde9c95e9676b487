"""Precision-recall curves, thinned for a report."""

import numpy as np

from trainer.evaluation.average_precision import Curve
from trainer.evaluation.summary import MAX_CURVE_POINTS, CurvePoints


def curve_points(curve: Curve) -> CurvePoints | None:
    """Where the curve turns: at each hit and just before the next; evenly thinned when that is over `MAX_CURVE_POINTS`.

    None without truth.
    """
    if not curve.n_truth:
        return None
    hits, n = np.flatnonzero(curve.is_true), len(curve.is_true)
    turns = np.unique(np.concatenate((hits, hits[hits > 0] - 1, [n - 1] if n else []))).astype(np.int64)
    if len(turns) > MAX_CURVE_POINTS:
        turns = turns[np.linspace(0, len(turns) - 1, MAX_CURVE_POINTS).round().astype(np.int64)]
    found = np.cumsum(curve.is_true)[turns]
    return CurvePoints(
        recall=_rounded(found / curve.n_truth),
        precision=_rounded(found / (turns + 1)),
        score=_rounded(curve.scores[turns]),
    )


def _rounded(values: np.ndarray[tuple[int], np.dtype[np.floating]]) -> tuple[float, ...]:
    return tuple(np.round(values.astype(np.float64), 5).tolist())
