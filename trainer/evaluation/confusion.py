"""Which class is taken for which: the reference's confusion matrix, with what is unidentified or missed beside it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from edge.contracts.cells import N_CLASSES, NAMES, UNIDENTIFIED
from trainer.data.annotation import IGNORE
from trainer.evaluation.average_precision import Ints
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.summary import Confusion

UNIDENTIFIED_COLUMN, MISSED_COLUMN = N_CLASSES, N_CLASSES + 1
COLUMNS = (*NAMES, UNIDENTIFIED, "missed")


def shows_one_typed_cell(result: ImageResult) -> bool:
    """Whether an image belongs to the classification set, as the reference made it: a single cell of known type."""
    labels = result.annotation.labels[result.annotation.labels != IGNORE]
    return len(labels) == 1 and int(labels[0]) >= 0


def confusion_of(results: Sequence[ImageResult], rows: Sequence[Ints]) -> Confusion:
    """All typed cells of these images. `rows` are `truth_rows` of each result."""
    truth, called, likeliest = [], [], []
    for result, found in zip(results, rows, strict=True):
        cells = {int(row): k for k, row in enumerate(found) if row >= 0}
        for row in np.flatnonzero(result.annotation.labels >= 0).tolist():
            truth.append(int(result.annotation.labels[row]))
            cell = cells.get(row)
            best = MISSED_COLUMN if cell is None else int(result.counted.classes[cell])
            uncertain = cell is not None and not result.counted.identified[cell]
            likeliest.append(best)
            called.append(UNIDENTIFIED_COLUMN if uncertain else best)
    counts = _counts(truth, called)
    shares = [(line / line.sum()).tolist() if line.any() else None for line in counts]
    return Confusion(
        classes=NAMES,
        columns=COLUMNS,
        counts=tuple(tuple(line) for line in counts.tolist()),
        shares=tuple(None if line is None else tuple(line) for line in shares),
        mean_accuracy=mean_accuracy(counts),
        mean_accuracy_best_class=mean_accuracy(_counts(truth, likeliest)),
        n=len(truth),
    )


def mean_accuracy(counts: NDArray[np.int64]) -> float | None:
    """Mean of the diagonal's shares over rows with truth: of the reference's matrices this gives its 0.9009 and 0.8936."""
    known = np.flatnonzero(counts.sum(axis=1))
    return float(np.mean(counts[known, known] / counts[known].sum(axis=1))) if len(known) else None


def _counts(truth: list[int], called: list[int]) -> NDArray[np.int64]:
    """[N_CLASSES, N_CLASSES + 2]."""
    if not truth:
        return np.zeros((N_CLASSES, len(COLUMNS)), np.int64)
    square: NDArray[np.int64] = confusion_matrix(truth, called, labels=range(len(COLUMNS)))
    return square[:N_CLASSES]
