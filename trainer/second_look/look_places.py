"""Where a second look is taught: images of a description that may be trained on, and what the detector finds there falsely."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edge.contracts.cells import INDEX
from edge.contracts.detections import Float32
from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.provenance import image_key, keys_of
from trainer.evaluation.detect import ImageResult
from trainer.second_look.cell_crops import Place, annotated_places, place_of
from trainer.second_look.look_network import NO_CELL

FALSE_FROM = 0.03
"""Presence from which a find without a cell is worth teaching."""

TOUCHES = 0.1
"""Share of a find that a cell may cover where the find still is one of nothing."""

NOWHERE_UM = 8.0
"""Side given to a place that was not found: what its centre is moved by follows from it."""


def may_train(row: Annotation, training: Mapping[str, Any]) -> bool:
    """Whether an image may be trained on beside a detector that says `training` of its own images.

    Of the detector's sources only what it was trained on itself: what it held back stays unseen by both. Of others, what the
    division gives.
    """
    if row.source in training.get("sources", {}):
        return image_key(row.path) in keys_of(training.get("train_images", ""))
    return row.split == "train"


def left_out_labels(names: Sequence[str]) -> frozenset[int]:
    """Labels of annotations that may be of these classes: a leukocyte of unknown type may be of any."""
    labels = {INDEX[name] for name in names}
    untyped = {UNTYPED_WBC} if labels else set()
    return frozenset(labels | untyped | ({UNTYPED_NEUTROPHIL} if labels & set(NEUTROPHILS) else set()))


def places_of(rows: Sequence[Annotation], results: Iterable[ImageResult], leave_out: Sequence[str] = ()) -> list[Place]:
    """Annotated cells but those of classes left out, false finds of `results`, and one place anywhere in each image."""
    untaught = left_out_labels(leave_out)
    places = [place for place in annotated_places(rows) if place.label not in untaught]
    for result in results:
        places += false_finds(result)
    for row in rows:
        # Drawn anew each time, and used as it stands only where an image is all cells.
        side = NOWHERE_UM / row.um_per_px
        places.append(Place(row, (side / 4, side / 4), side, NO_CELL))
    return places


def false_finds(result: ImageResult) -> list[Place]:
    """What a detector found where nothing is annotated, not even something to ignore."""
    row, found = result.annotation, result.cells
    places = []
    for box, score in zip(found.boxes.astype(np.float32), found.scores, strict=True):
        if score >= FALSE_FROM and _covered(box, row.boxes_px) < TOUCHES:
            places.append(place_of(row, box.tolist(), NO_CELL))
    return places


def _covered(box: Float32, boxes: Float32) -> float:
    """Largest share of `box` that one of `boxes` covers."""
    if not len(boxes):
        return 0.0
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    return float((sides.clip(0).prod(axis=1) / max(1e-6, float((box[2:] - box[:2]).prod()))).max())


def taught_by(rows: Sequence[Annotation]) -> set[int]:
    """Classes of which there is an annotated cell of known type."""
    return {int(label) for row in rows for label in row.labels if label >= 0 and label != IGNORE}
