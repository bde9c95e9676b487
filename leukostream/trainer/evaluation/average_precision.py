"""PASCAL VOC average precision at one IoU (Everingham et al. 2010, section 4.2), all-point interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukostream.edge.contracts.cells import CELLS
from leukostream.trainer.data.annotation import IGNORE, UNTYPED_WBC

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Judged:
    """Detections and truth of one image, both in the same pixels.

    boxes [n, 4], scores [n], labels [n]; truth_boxes [m, 4], truth_labels [m] (-1 untyped leukocyte, -2 ignored region).
    """

    boxes: Floats
    scores: Floats
    labels: Ints
    truth_boxes: Floats
    truth_labels: Ints


@dataclass(frozen=True, slots=True)
class Curve:
    """Detections of one class, best score first. `ap` is None when there is no truth to find."""

    n_truth: int
    scores: Floats
    is_true: NDArray[np.bool_]
    ap: float | None


def pairwise_iou(a: Floats, b: Floats) -> Floats:
    """[n, 4], [m, 4] -> [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    result: Floats = overlap / np.maximum(area_a[:, None] + area_b[None] - overlap, 1e-9)
    return result


def match(boxes: Floats, scores: Floats, truth: Floats, optional: NDArray[np.bool_], iou: float) -> Ints:
    """For one image and one class, what each detection is: 1 true, 0 false, -1 neither (its match is optional).

    Detections choose in order of score; a truth is taken once, a second detection of it is false.
    """
    verdict = np.zeros(len(boxes), np.int32)
    if not len(truth):
        return verdict
    overlaps = pairwise_iou(boxes, truth)
    taken = np.zeros(len(truth), bool)
    for k in np.argsort(-scores, kind="stable"):
        best = int(overlaps[k].argmax())
        if overlaps[k, best] < iou:
            continue
        if optional[best]:
            verdict[k] = -1
        elif not taken[best]:
            taken[best] = True
            verdict[k] = 1
    return verdict


def interpolated_ap(is_true: NDArray[np.bool_], n_truth: int) -> float:
    """Area under the precision envelope; `is_true` in order of falling score."""
    hits = np.cumsum(is_true)
    precision = hits / np.arange(1, len(is_true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * is_true).sum() / n_truth)


def class_curve(images: Sequence[Judged], label: int, iou: float = 0.5) -> Curve:
    """One class. Untyped leukocytes are optional for the leukocyte classes: finding one is neither right nor wrong."""
    optional = {IGNORE, UNTYPED_WBC} if CELLS[label].is_wbc else {IGNORE}
    return _curve(images, [label], {label}, optional, iou)


def leukocyte_curve(images: Sequence[Judged], iou: float = 0.5) -> Curve:
    """Any leukocyte, whatever its type: the labels of detections and truth only have to be leukocytes."""
    wbc = [index for index, cell in enumerate(CELLS) if cell.is_wbc]
    return _curve(images, wbc, {*wbc, UNTYPED_WBC}, {IGNORE}, iou)


def _curve(images: Sequence[Judged], detected: list[int], wanted: set[int], optional: set[int], iou: float) -> Curve:
    scores, verdicts, n_truth = [], [], 0
    for image in images:
        mine = np.isin(image.labels, detected)
        relevant = np.isin(image.truth_labels, list(wanted | optional))
        is_optional = np.isin(image.truth_labels[relevant], list(optional - wanted))
        n_truth += int((~is_optional).sum())
        scores.append(image.scores[mine])
        verdicts.append(match(image.boxes[mine], image.scores[mine], image.truth_boxes[relevant], is_optional, iou))
    score, verdict = np.concatenate([*scores, []]), np.concatenate([*verdicts, []])
    order = np.argsort(-score, kind="stable")
    order = order[verdict[order] >= 0]
    is_true = verdict[order] == 1
    return Curve(n_truth, score[order].astype(np.float32), is_true, interpolated_ap(is_true, n_truth) if n_truth else None)
