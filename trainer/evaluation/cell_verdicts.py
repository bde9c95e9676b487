"""At the model's own thresholds, cell by cell: recall, precision and their limits, what is taken for what, the worst errors."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from edge.contracts.cells import N_CLASSES, NAMES, UNIDENTIFIED
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.evaluation.average_precision import FALSE, Floats, Ints, match, optional_labels, pairwise_iou
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.summary import MAX_MISSED, Box, Confusion, Miss

IOU = 0.5

UNIDENTIFIED_COLUMN, MISSED_COLUMN = N_CLASSES, N_CLASSES + 1
COLUMNS = (*NAMES, UNIDENTIFIED, "missed")

UNTYPED = {UNTYPED_WBC: "untyped_wbc", UNTYPED_NEUTROPHIL: "untyped_neutrophil"}


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


def worst_errors(results: Sequence[ImageResult], rows: Sequence[Ints], root: Path | None) -> tuple[Miss, ...]:
    """At most `MAX_MISSED` of `ranked_errors`."""
    return tuple(error for _, error in ranked_errors(results, rows, root)[:MAX_MISSED])


def ranked_errors(results: Sequence[ImageResult], rows: Sequence[Ints], root: Path | None) -> list[tuple[ImageResult, Miss]]:
    """Every error with its image, worst first: the surest wrong cells, and missed cells by how little of them was seen.

    `rows` are `truth_rows` of each result. A cell that was found but stays `unidentified` is no error. Paths are relative to
    `root`, or the file's name alone.
    """
    graded = [
        (how_bad, result, error)
        for result, row in zip(results, rows, strict=True)
        for how_bad, error in _errors(result, row, root)
    ]
    graded.sort(key=lambda one: -one[0])
    return [(result, error) for _, result, error in graded]


def _errors(result: ImageResult, found: Ints, root: Path | None) -> Iterator[tuple[float, Miss]]:
    """Each with how bad it is, 0..1."""
    row, counted = result.annotation, result.counted
    here = partial(Miss, image=_relative(row.path, root), source=row.source)
    for k, at in enumerate(found.tolist()):
        label, box = int(counted.classes[k]), _box(counted.boxes_px[k])
        if at == FALSE:
            presence = float(counted.presence[k])
            overlaps = pairwise_iou(counted.boxes_px[k : k + 1], row.boxes_px)[0] * (row.labels != IGNORE)
            best = int(overlaps.argmax()) if overlaps.any() else None
            beside = {} if best is None else {"beside": _name(int(row.labels[best])), "beside_px": _box(row.boxes_px[best])}
            alarm = here(box_px=box, truth=None, predicted=NAMES[label], score=presence, kind="false alarm", **beside)
            yield presence, alarm
        elif at >= 0 and counted.identified[k] and _contradict(label, int(row.labels[at])):
            truth, score = _name(int(row.labels[at])), float(counted.scores[k])
            yield score, here(box_px=box, truth=truth, predicted=NAMES[label], score=score, kind="wrong type")
    for at in np.flatnonzero(row.labels != IGNORE).tolist():
        if at not in found:
            predicted, seen = _best_candidate(result, at)
            truth, box = _name(int(row.labels[at])), _box(row.boxes_px[at])
            yield 1 - (seen or 0), here(box_px=box, truth=truth, predicted=predicted, score=seen, kind="missed")


def _best_candidate(result: ImageResult, at: int) -> tuple[str | None, float | None]:
    """Class and presence of what was most nearly found where truth `at` is."""
    near = pairwise_iou(result.cells.boxes, result.annotation.boxes_px[at][None])[:, 0] >= IOU
    if not near.any():
        return None, None
    best = int(np.where(near, result.cells.scores, -1).argmax())
    return NAMES[int(result.cells.labels[best])], float(result.cells.scores[best])


def _contradict(label: int, truth: int) -> bool:
    return truth != label and truth not in optional_labels(label)


def _relative(path: Path, root: Path | None) -> str:
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else path.name


def _name(label: int) -> str:
    return NAMES[label] if label >= 0 else UNTYPED[label]


def _box(box: Floats) -> Box:
    x1, y1, x2, y2 = (round(float(value), 1) for value in box)
    return x1, y1, x2, y2
