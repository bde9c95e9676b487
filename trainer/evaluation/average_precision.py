"""PASCAL VOC average precision at one IoU (Everingham et al. 2010, section 4.2), all-point and 11-point interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.cells import CELLS
from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL, UNTYPED_WBC

INSIDE = 0.5
"""Share of a detection inside an ignored region from which it is not judged; training leaves the same out."""

FALSE, NEITHER = -1, -2
"""What a detection can be, other than the row of the truth it finds."""

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
    """Detections of one class, best score first: scores [n], is_true [n], images [n] (which of the judged images each is in).

    `truth_by_image` counts what there is to find. `ap` and `ap_11_point` are None when that is nothing.
    """

    truth_by_image: Ints
    scores: Floats
    is_true: NDArray[np.bool_]
    images: Ints

    @property
    def n_truth(self) -> int:
        return int(self.truth_by_image.sum())

    @property
    def ap(self) -> float | None:
        return interpolated_ap(self.is_true, self.n_truth) if self.n_truth else None

    @property
    def ap_11_point(self) -> float | None:
        return eleven_point_ap(self.is_true, self.n_truth) if self.n_truth else None


def pairwise_iou(a: Floats, b: Floats) -> Floats:
    """[n, 4], [m, 4] -> [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    result: Floats = overlap / np.maximum(area_a[:, None] + area_b[None] - overlap, 1e-9)
    return result


def match(boxes: Floats, scores: Floats, truth: Floats, optional: NDArray[np.bool_], regions: Floats, iou: float) -> Ints:
    """For one image and one class, the row of the truth that each detection finds, or `FALSE` or `NEITHER`: [n].

    Detections choose in order of score; a truth is taken once, a second detection of it is false. Neither are detections whose
    match is optional, and those that match nothing but lie mostly inside one of the ignored `regions`.

    This is PASCAL's rule: a detection stands by the truth it overlaps most, even when that one is taken. COCO lets it take the
    next best that is free. The two agree wherever no detection reaches `iou` with two truths; disjoint truths suffice at 0.5.
    """
    found = np.full(len(boxes), FALSE, np.int32)
    overlaps, inside = pairwise_iou(boxes, truth), _share_inside(boxes, regions)
    taken = np.zeros(len(truth), bool)
    for k in np.argsort(-scores, kind="stable"):
        best = int(overlaps[k].argmax()) if len(truth) else -1
        if best < 0 or overlaps[k, best] < iou:
            found[k] = NEITHER if inside[k] > INSIDE else FALSE
        elif optional[best]:
            found[k] = NEITHER
        elif not taken[best]:
            taken[best] = True
            found[k] = best
    return found


def _share_inside(boxes: Floats, regions: Floats) -> Floats:
    """Largest share of each box's area that one region covers: [n]."""
    if not len(regions):
        return np.zeros(len(boxes), np.float32)
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    result: Floats = np.clip(high - low, 0, None).prod(axis=2).max(axis=1) / area
    return result


def _envelope(is_true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The best precision at each rank or any later one: [n]."""
    precision = np.cumsum(is_true) / np.arange(1, len(is_true) + 1)
    envelope: NDArray[np.float64] = np.maximum.accumulate(precision[::-1])[::-1]
    return envelope


def interpolated_ap(is_true: NDArray[np.bool_], n_truth: int) -> float:
    """Area under the precision envelope (VOC 2010 and later); `is_true` in order of falling score."""
    return float((_envelope(is_true) * is_true).sum() / n_truth)


def eleven_point_ap(is_true: NDArray[np.bool_], n_truth: int) -> float:
    """Mean envelope at recall 0, 0.1 .. 1 (VOC 2007), 0 where that recall is not reached; `is_true` as above."""
    envelope = np.append(_envelope(is_true), 0.0)
    # Whole numbers: 3 of 10 must reach a recall of 0.3.
    tenths_found = np.cumsum(is_true) * 10
    first = np.searchsorted(tenths_found, np.arange(11) * n_truth)
    return float(envelope[first].mean())


def optional_labels(label: int) -> set[int]:
    """Truth that a detection called `label` may find without being right or wrong: untyped leukocytes for the leukocyte
    classes, and untyped neutrophils for band and segmented, while calling one anything else is wrong."""
    optional = {UNTYPED_WBC} if CELLS[label].is_wbc else set()
    if label in NEUTROPHILS:
        optional.add(UNTYPED_NEUTROPHIL)
    return optional


def class_curve(images: Sequence[Judged], label: int, iou: float = 0.5) -> Curve:
    """One class; see `optional_labels` for untyped truth."""
    return _curve(images, [label], {label}, optional_labels(label), iou)


def leukocyte_curve(images: Sequence[Judged], iou: float = 0.5) -> Curve:
    """Any leukocyte, whatever its type: the labels of detections and truth only have to be leukocytes."""
    wbc = [index for index, cell in enumerate(CELLS) if cell.is_wbc]
    return _curve(images, wbc, {*wbc, UNTYPED_WBC, UNTYPED_NEUTROPHIL}, set(), iou)


def _curve(images: Sequence[Judged], detected: list[int], wanted: set[int], optional: set[int], iou: float) -> Curve:
    scores, found, where = [], [], []
    n_truth = np.zeros(len(images), np.int32)
    for number, image in enumerate(images):
        mine = np.isin(image.labels, detected)
        relevant = np.isin(image.truth_labels, list(wanted | optional))
        is_optional = np.isin(image.truth_labels[relevant], list(optional))
        n_truth[number] = int((~is_optional).sum())
        regions = image.truth_boxes[image.truth_labels == IGNORE]
        truth = image.truth_boxes[relevant]
        scores.append(image.scores[mine])
        found.append(match(image.boxes[mine], image.scores[mine], truth, is_optional, regions, iou))
        where.append(np.full(len(found[-1]), number))
    score, row = np.concatenate([*scores, []]), np.concatenate([*found, []])
    order = np.argsort(-score, kind="stable")
    order = order[row[order] != NEITHER]
    which = np.concatenate([*where, []])[order].astype(np.int32)
    return Curve(n_truth, score[order].astype(np.float32), row[order] >= 0, which)


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """mAP: the mean of the figures there are; None when there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
