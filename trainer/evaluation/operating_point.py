"""Recall and precision at the model's own thresholds, cell by cell, with exact limits."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from trainer.data.annotation import IGNORE
from trainer.evaluation.average_precision import Ints, match, optional_labels
from trainer.evaluation.detect import ImageResult

IOU = 0.5


def truth_rows(result: ImageResult) -> Ints:
    """For each counted cell the row of the annotation it finds, whatever either is called, or `FALSE` or `NEITHER`: [n].

    One cell has one label here, so matching does not look at labels; `match` has the rule.
    """
    row = result.annotation
    real = np.flatnonzero(row.labels != IGNORE).astype(np.int32)
    found = match(
        result.counted.boxes_px,
        result.counted.presence,
        row.boxes_px[real],
        np.zeros(len(real), bool),
        row.boxes_px[row.labels == IGNORE],
        IOU,
    )
    found[found >= 0] = real[found[found >= 0]]
    return found


def hits_of_class(results: Sequence[ImageResult], rows: Sequence[Ints], label: int) -> tuple[int, int]:
    """Cells called `label`, right and all. A cell called `label` that is an untyped one is in neither number.

    `rows` are `truth_rows` of each result.
    """
    optional = list(optional_labels(label))
    right = called = 0
    for result, found in zip(results, rows, strict=True):
        mine = found[(result.counted.classes == label) & result.counted.identified]
        truth = result.annotation.labels[mine[mine >= 0]]
        right += int((truth == label).sum())
        called += int((mine == -1).sum() + len(truth) - np.isin(truth, optional).sum())
    return right, called


def exact_limits(hits: int, trials: int) -> tuple[float | None, float | None]:
    """Binomial 95 % limits of Clopper and Pearson (1934), as if cells were independent; None without a trial."""
    if not trials:
        return None, None
    limits = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return float(limits.low), float(limits.high)
