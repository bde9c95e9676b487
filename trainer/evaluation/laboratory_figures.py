"""What a model does on one laboratory, most of all on one it never saw: found, counted, rightly called, falsely found.

All limits are of 95 %, by resampling groups of images, but for the rate of false cells, which has an exact bound.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge.contracts.cells import NAMES
from trainer.data.annotation import UNTYPED_WBC
from trainer.evaluation.average_precision import class_curve, leukocyte_curve, mean_of_known
from trainer.evaluation.bootstrap import bootstrap, draw
from trainer.evaluation.cell_verdicts import truth_rows
from trainer.evaluation.comparison import agrees, is_leukocyte, likeliest_agrees
from trainer.evaluation.detect import ImageResult, true_wbc
from trainer.evaluation.false_cells import in_empty_images, outside_cells
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.summary import Estimate, LaboratoryFigures, Limits

Counts = NDArray[np.int64]


def laboratory_figures(
    results: Sequence[ImageResult], detect: float, groups: Sequence[int], rounds: int, seed: int = 0
) -> LaboratoryFigures:
    """`detect` is the presence threshold; `groups` [results] says which images are resampled together."""
    classes = [class_curve([result.typed for result in results], label) for label in range(len(NAMES))]
    wbc = leukocyte_curve([result.cells for result in results])
    limits = bootstrap(classes, wbc, groups, "groups of images", rounds, seed)
    weights = draw(groups, rounds, seed)
    at = wbc.scores >= detect
    found, called = _by_image(wbc.images[at & wbc.is_true], results), _by_image(wbc.images[at], results)
    true = np.array([true_wbc(result.annotation) for result in results])
    counted = np.array([result.counted_wbc for result in results])
    typed, right, unidentified, likeliest = np.array([_typed(result) for result in results]).reshape(-1, 4).T
    scales = {result.annotation.source: result.annotation.um_per_px for result in results}
    error = _ratio(counted, true, weights)
    return LaboratoryFigures(
        images=len(results),
        leukocytes=int(true.sum()),
        um_per_px=dict(sorted(scales.items())),
        ap=_estimate(wbc.ap, limits.wbc_ap),
        recall=_ratio(found, wbc.truth_by_image, weights),
        precision=_ratio(found, called, weights),
        counted=int(counted.sum()),
        count_error=Estimate(**{name: None if at is None else at - 1 for name, at in error.model_dump().items()}),
        types=_estimate(mean_of_known([curve.ap for curve in classes]), limits.map),
        found_typed=int(typed.sum()),
        right_of_found=_ratio(right, typed, weights),
        unidentified_of_found=_ratio(unidentified, typed, weights),
        likeliest_of_found=_ratio(likeliest, typed, weights),
        outside=outside_cells(results),
        empty=in_empty_images(results),
    )


def by_laboratory(
    results: Sequence[ImageResult],
    detect: float,
    groups: Sequence[int],
    laboratories: Mapping[str, str],
    settings: EvaluationSettings,
) -> dict[str, LaboratoryFigures]:
    """Those of each laboratory among `results`; `laboratories` has that of each source."""
    parts: dict[str, list[int]] = {}
    for number, result in enumerate(results):
        parts.setdefault(laboratories.get(result.annotation.source, result.annotation.source), []).append(number)
    return {
        name: laboratory_figures(
            [results[k] for k in part], detect, [groups[k] for k in part], settings.bootstrap_rounds, settings.seed
        )
        for name, part in sorted(parts.items())
    }


def _by_image(images: NDArray[np.int32], results: Sequence[ImageResult]) -> Counts:
    return np.bincount(images, minlength=len(results)).astype(np.int64)


def _typed(result: ImageResult) -> tuple[int, int, int, int]:
    """Leukocytes of known type that were found, those rightly called, those left `unidentified`, those whose likeliest class is
    right. A neutrophil of which nobody said band or segmented is rightly called either."""
    labels, rows = result.annotation.labels, truth_rows(result)
    known = is_leukocyte(labels) & (labels != UNTYPED_WBC)
    cells = [(cell, int(labels[row])) for cell, row in enumerate(rows) if row >= 0 and known[row]]
    right = sum(agrees(result, cell, truth) for cell, truth in cells)
    likeliest = sum(likeliest_agrees(result, cell, truth) for cell, truth in cells)
    return len(cells), right, sum(not result.counted.identified[cell] for cell, _ in cells), likeliest


def _ratio(part: Counts, whole: Counts | NDArray[np.int32], weights: Counts) -> Estimate:
    """Of the sums over all images; both [images]."""
    parts, wholes = (weights @ part).astype(np.float64), (weights @ whole).astype(np.float64)
    known = wholes > 0
    if not whole.sum() or not known.any():
        return Estimate()
    low, high = np.percentile(parts[known] / wholes[known], (2.5, 97.5))
    return Estimate(value=float(part.sum() / whole.sum()), low=float(low), high=float(high))


def _estimate(value: float | None, limits: Limits | None) -> Estimate:
    low, high = limits or (None, None)
    return Estimate(value=value, low=low, high=high)
