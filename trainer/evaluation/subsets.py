"""The two conditions the reference tests apart: small cells (its nucleated red cells) and dense scenes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.contracts.cells import INDEX, N_CLASSES
from trainer.data.annotation import IGNORE, Annotation
from trainer.evaluation.average_precision import (
    Floats,
    Judged,
    class_curve,
    leukocyte_curve,
    mean_of_known,
    pairwise_iou,
)
from trainer.evaluation.detect import ImageResult
from trainer.evaluation.settings import DENSE_FROM, SMALL_BELOW_UM
from trainer.evaluation.summary import Subset, Subsets

NRBC = INDEX["nrbc"]


def subsets_of(results: Sequence[ImageResult], small_below_um: float = SMALL_BELOW_UM, dense_from: int = DENSE_FROM) -> Subsets:
    """Both subsets."""
    return Subsets(small_cells=small_cells(results, small_below_um), dense=dense(results, dense_from))


def dense(results: Sequence[ImageResult], dense_from: int) -> Subset:
    """Images with at least `dense_from` annotated cells, typed or not."""
    chosen = [result for result in results if int((result.annotation.labels != IGNORE).sum()) >= dense_from]
    truth = sum(int((result.annotation.labels != IGNORE).sum()) for result in chosen)
    typed, cells = [result.typed for result in chosen], [result.cells for result in chosen]
    return _subset(f"images with at least {dense_from} annotated cells", len(chosen), truth, typed, cells)


def small_cells(results: Sequence[ImageResult], below_um: float) -> Subset:
    """Cells annotated as nrbc, or whose box has a square root of area under `below_um`, in any image.

    As in COCO's areas: larger cells are ignored regions here, and larger detections that find no small cell are left out.
    """
    small = [is_small(result.annotation, below_um) for result in results]
    typed = [_only_small(r.typed, s, below_um / r.annotation.um_per_px) for r, s in zip(results, small, strict=True)]
    cells = [_only_small(r.cells, s, below_um / r.annotation.um_per_px) for r, s in zip(results, small, strict=True)]
    rule = f"nrbc, and cells under {below_um:g} um (square root of the box's area)"
    return _subset(rule, sum(bool(s.any()) for s in small), sum(int(s.sum()) for s in small), typed, cells)


def is_small(annotation: Annotation, below_um: float) -> NDArray[np.bool_]:
    """[n] of an image's annotated cells."""
    by_size = _side_px(annotation.boxes_px) * annotation.um_per_px < below_um
    small: NDArray[np.bool_] = ((annotation.labels == NRBC) | by_size) & (annotation.labels != IGNORE)
    return small


def _only_small(judged: Judged, small: NDArray[np.bool_], below_px: float) -> Judged:
    finds_small = (pairwise_iou(judged.boxes, judged.truth_boxes[small]) >= 0.5).any(axis=1)
    kept = finds_small | (_side_px(judged.boxes) < below_px) | (judged.labels == NRBC)
    labels = np.where(small, judged.truth_labels, np.int32(IGNORE)).astype(np.int32)
    return Judged(judged.boxes[kept], judged.scores[kept], judged.labels[kept], judged.truth_boxes, labels)


def _side_px(boxes: Floats) -> Floats:
    sides: Floats = np.sqrt(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))
    return sides


def _subset(rule: str, images: int, truth: int, typed: list[Judged], cells: list[Judged]) -> Subset:
    by_class = [class_curve(typed, label).ap for label in range(N_CLASSES)]
    return Subset(rule=rule, images=images, truth=truth, map=mean_of_known(by_class), wbc_ap=leukocyte_curve(cells).ap)
