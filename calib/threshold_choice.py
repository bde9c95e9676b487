"""Thresholds and probabilities for one instrument, chosen on annotated images and measured on those a choice did not see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.labelled_cells import FALSE, ImageRows, LabelledCells, cells_at
from calib.operating_points import (
    FLOOR_DETECT,
    ClassChoice,
    Share,
    choose_detect,
    choose_identify,
    folds_of,
    measured,
)
from calib.score_calibration import ScoreCalibration, calibrate
from edge.contracts.bundle import Thresholds
from edge.contracts.errors import DataError


@dataclass(frozen=True, slots=True)
class Floors:
    """The precisions that are asked for: of leukocytes as such, and of each type."""

    wbc: float
    typed: float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """What was chosen on all images, and its shares on images that a choice did not see; why there is no `calibration`."""

    thresholds: Thresholds
    classes: list[ClassChoice]
    shares: dict[str, Share]
    own_shares: dict[str, Share]
    """of the bundle's own thresholds, on the same images"""
    calibration: ScoreCalibration | None
    why_not: str


def choose(rows: Sequence[ImageRows], own: Thresholds, floors: Floors) -> ThresholdChoice:
    """Choose for `rows`, starting from the bundle's `own` thresholds. Raises `DataError` for too few cells or groups."""
    groups = [row.group for row in rows]
    folds = folds_of(groups)
    if len(folds) < 2:
        raise DataError(
            "all images are of one slide or original, so nothing can be measured on others; give images of several slides."
        )
    thresholds, classes = _chosen(rows, own, floors)
    unseen = []
    for fold in folds:
        seen = [row for row in rows if row.group not in fold]
        try:
            there, _ = _chosen(seen, own, floors)
        except DataError as problem:
            raise DataError(
                f"with {len(rows) - len(seen)} of {len(rows)} images left out, as whole slides or originals, {problem}"
            ) from problem
        unseen.append(cells_at([row for row in rows if row.group in fold], there))
    cells = cells_at(rows, thresholds)
    calibration, why_not = None, ""
    try:
        calibration = _calibrated(cells, folds)
    except DataError as problem:
        why_not = str(problem)
    return ThresholdChoice(thresholds, classes, measured(_joined(unseen)), measured(cells_at(rows, own)), calibration, why_not)


def _chosen(rows: Sequence[ImageRows], own: Thresholds, floors: Floors) -> tuple[Thresholds, list[ClassChoice]]:
    everything = cells_at(rows, own.model_copy(update={"detect": FLOOR_DETECT}))
    there = own.model_copy(update={"detect": choose_detect(everything, floors.wbc)})
    classes = choose_identify(everything, there, floors.typed)
    by_class = {one.name: one.identify for one in classes if one.state == "chosen"}
    return there.model_copy(update={"identify_by_class": own.identify_by_class | by_class}), classes


def _calibrated(cells: LabelledCells, folds: Sequence[set[int]]) -> ScoreCalibration:
    decided = (cells.truth >= 0) | (cells.truth == FALSE)
    right: NDArray[np.bool_] = (cells.best == cells.truth)[decided]
    masks = [np.isin(cells.group[decided], list(fold)) for fold in folds]
    return calibrate(cells.score[decided].astype(np.float64), right, [mask for mask in masks if mask.any()])


def _joined(parts: Sequence[LabelledCells]) -> LabelledCells:
    n_before = np.cumsum([0, *(len(part.group) for part in parts[:-1])])
    annotated = []
    for part, before in zip(parts, n_before.tolist(), strict=True):
        rows = part.annotated.copy()
        rows[rows[:, 2] >= 0, 2] += before
        annotated.append(rows)
    return LabelledCells(
        group=np.concatenate([part.group for part in parts]),
        presence=np.concatenate([part.presence for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
        best=np.concatenate([part.best for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
        identified=np.concatenate([part.identified for part in parts]),
        annotated=np.concatenate(annotated),
    )
