"""The worst errors at the model's thresholds, to be looked at one by one."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from edge.contracts.cells import NAMES
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.evaluation.average_precision import FALSE, Floats, Ints, optional_labels, pairwise_iou
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.operating_point import IOU
from trainer.evaluation.summary import MAX_MISSED, Box, Miss

UNTYPED = {UNTYPED_WBC: "untyped_wbc", UNTYPED_NEUTROPHIL: "untyped_neutrophil"}


def worst_errors(results: Sequence[ImageResult], rows: Sequence[Ints], root: Path | None) -> tuple[Miss, ...]:
    """At most `MAX_MISSED`, worst first: the surest wrong cells, and missed cells by how little of them was seen.

    `rows` are `truth_rows` of each result. A cell that was found but stays `unidentified` is no error. Paths are relative to
    `root`, or the file's name alone.
    """
    graded = [error for result, found in zip(results, rows, strict=True) for error in _errors(result, found, root)]
    graded.sort(key=lambda pair: -pair[0])
    return tuple(error for _, error in graded[:MAX_MISSED])


def _errors(result: ImageResult, found: Ints, root: Path | None) -> Iterator[tuple[float, Miss]]:
    """Each with how bad it is, 0..1."""
    row, counted = result.annotation, result.counted
    here = partial(Miss, image=_relative(row.path, root), source=row.source)
    for k, at in enumerate(found.tolist()):
        label, box = int(counted.classes[k]), _box(counted.boxes_px[k])
        if at == FALSE:
            presence = float(counted.presence[k])
            yield presence, here(box_px=box, truth=None, predicted=NAMES[label], score=presence, kind="false alarm")
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
