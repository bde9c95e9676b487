"""Leukocytes that a model counts where there is none: in images without a cell, and outside the annotated cells of the others.

Most fields of a slide show no leukocyte, so what is found falsely in a thousand of them decides a differential.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2

from trainer.evaluation.average_precision import Floats
from trainer.evaluation.detect import IS_WBC, ImageResult
from trainer.evaluation.summary import EmptyFields

FIELD_UM2 = (732 * 0.13) * (574 * 0.13)
"""Of the reference's field."""


def in_empty_images(results: Sequence[ImageResult]) -> EmptyFields | None:
    """False leukocytes of the images in which nothing is annotated; None when there is no such image."""
    empty = [result for result in results if not len(result.annotation.labels)]
    if not empty:
        return None
    return _rate(empty, [_area_px(result) for result in empty], sum(result.counted_wbc for result in empty))


def outside_cells(results: Sequence[ImageResult]) -> EmptyFields:
    """Those whose centre lies in no annotated box, in the area outside the boxes: the parts of all images without a cell.

    A second or a badly fitting box on a cell is not among them. Overlapping boxes are counted twice, so the area is rather
    too small, and the rate too large.
    """
    areas = [max(0.0, _area_px(result) - _boxes_px(result.annotation.boxes_px)) for result in results]
    return _rate(results, areas, sum(_outside(result) for result in results))


def _outside(result: ImageResult) -> int:
    found, truth = result.counted.boxes_px[IS_WBC[result.counted.classes]], result.annotation.boxes_px
    centres = (found[:, :2] + found[:, 2:]) / 2
    inside = (centres[:, None] >= truth[None, :, :2]).all(axis=2) & (centres[:, None] <= truth[None, :, 2:]).all(axis=2)
    return int((~inside.any(axis=1)).sum())


def _area_px(result: ImageResult) -> float:
    return float(result.annotation.width_px * result.annotation.height_px)


def _boxes_px(boxes: Floats) -> float:
    return float((boxes[:, 2:] - boxes[:, :2]).astype(np.float64).prod(axis=1).sum())


def _rate(results: Sequence[ImageResult], areas_px: Sequence[float], false: int) -> EmptyFields:
    um2 = sum(area_px * result.annotation.um_per_px**2 for area_px, result in zip(areas_px, results, strict=True))
    fields = max(um2 / FIELD_UM2, 1e-6)
    return EmptyFields(
        images=len(results),
        fields=round(fields, 2),
        false_leukocytes=false,
        per_1000=1000 * false / fields,
        high_per_1000=1000 * float(chi2.ppf(0.95, 2 * (false + 1))) / 2 / fields,
    )
