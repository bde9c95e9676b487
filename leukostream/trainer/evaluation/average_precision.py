"""PASCAL VOC average precision at one IoU (Everingham et al. 2010, section 4.2), all-point interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leukostream.edge.contracts.cells import CELLS, INDEX
from leukostream.trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC

INSIDE = 0.5
"""Share of a detection inside an ignored region from which it is not judged; training leaves the same out."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Judged:
    """Detections and truth of one image, both in the same pixels.

    boxes [n, 4], scores [n], labels [n]; truth_boxes [m, 4], truth_labels [m] (with `annotation`'s special labels).
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


def match(boxes: Floats, scores: Floats, truth: Floats, optional: NDArray[np.bool_], regions: Floats, iou: float) -> Ints:
    """For one image and one class, what each detection is: 1 true, 0 false, -1 neither.

    Detections choose in order of score; a truth is taken once, a second detection of it is false. Neither are detections whose
    match is optional, and those that match nothing but lie mostly inside one of the ignored `regions`.
    """
    verdict = np.zeros(len(boxes), np.int32)
    overlaps, inside = pairwise_iou(boxes, truth), _share_inside(boxes, regions)
    taken = np.zeros(len(truth), bool)
    for k in np.argsort(-scores, kind="stable"):
        best = int(overlaps[k].argmax()) if len(truth) else -1
        if best < 0 or overlaps[k, best] < iou:
            verdict[k] = -1 if inside[k] > INSIDE else 0
        elif optional[best]:
            verdict[k] = -1
        elif not taken[best]:
            taken[best] = True
            verdict[k] = 1
    return verdict


def _share_inside(boxes: Floats, regions: Floats) -> Floats:
    """Largest share of each box's area that one region covers: [n]."""
    if not len(regions):
        return np.zeros(len(boxes), np.float32)
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    result: Floats = np.clip(high - low, 0, None).prod(axis=2).max(axis=1) / area
    return result


def interpolated_ap(is_true: NDArray[np.bool_], n_truth: int) -> float:
    """Area under the precision envelope; `is_true` in order of falling score."""
    hits = np.cumsum(is_true)
    precision = hits / np.arange(1, len(is_true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((envelope * is_true).sum() / n_truth)


def class_curve(images: Sequence[Judged], label: int, iou: float = 0.5) -> Curve:
    """One class. Untyped leukocytes are optional for the leukocyte classes: finding one is neither right nor wrong; so are
    untyped neutrophils for band and segmented, while calling one anything else is wrong."""
    optional = {UNTYPED_WBC} if CELLS[label].is_wbc else set()
    if label in {INDEX["neutrophil_band"], INDEX["neutrophil_segmented"]}:
        optional.add(UNTYPED_NEUTROPHIL)
    return _curve(images, [label], {label}, optional, iou)


def leukocyte_curve(images: Sequence[Judged], iou: float = 0.5) -> Curve:
    """Any leukocyte, whatever its type: the labels of detections and truth only have to be leukocytes."""
    wbc = [index for index, cell in enumerate(CELLS) if cell.is_wbc]
    return _curve(images, wbc, {*wbc, UNTYPED_WBC, UNTYPED_NEUTROPHIL}, set(), iou)


def _curve(images: Sequence[Judged], detected: list[int], wanted: set[int], optional: set[int], iou: float) -> Curve:
    scores, verdicts, n_truth = [], [], 0
    for image in images:
        mine = np.isin(image.labels, detected)
        relevant = np.isin(image.truth_labels, list(wanted | optional))
        is_optional = np.isin(image.truth_labels[relevant], list(optional))
        n_truth += int((~is_optional).sum())
        regions = image.truth_boxes[image.truth_labels == IGNORE]
        truth = image.truth_boxes[relevant]
        scores.append(image.scores[mine])
        verdicts.append(match(image.boxes[mine], image.scores[mine], truth, is_optional, regions, iou))
    score, verdict = np.concatenate([*scores, []]), np.concatenate([*verdicts, []])
    order = np.argsort(-score, kind="stable")
    order = order[verdict[order] >= 0]
    is_true = verdict[order] == 1
    return Curve(n_truth, score[order].astype(np.float32), is_true, interpolated_ap(is_true, n_truth) if n_truth else None)
