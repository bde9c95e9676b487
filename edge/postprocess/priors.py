"""Candidates of one field: rows of the graph gathered by prior, in pixels of the original frame."""

from dataclasses import dataclass

import numpy as np

from edge.camera.resample import FitPlan
from edge.contracts.cells import N_CLASSES
from edge.contracts.detections import Bool, Float32, Int32, RawDetections
from edge.postprocess.boxes import areas, intersections

CUT_TOLERANCE_PX = 4.0
"""A box this close to a tile's inner border may belong to a cell that goes on behind it. Calling a whole cell cut is harmless:
it is only dropped where the neighbouring tile shows it too."""

CONTAINED = 0.6
"""Share of a cut box's area inside a whole box of another tile from which both are the same cell."""

MIN_SIDE_PX = 1.0


@dataclass(frozen=True, slots=True)
class Priors:
    """boxes [n, 4] clipped to the frame; scores [n, N_CLASSES], zero where the graph gave no row; presence [n]."""

    boxes: Float32
    scores: Float32
    presence: Float32


def gather_priors(raw: RawDetections, plan: FitPlan, floor: float, detect: float) -> Priors | None:
    """Priors with a class score of at least `floor` in any tile of one field; None when there are none.

    `raw` has one row per tile. Rows of one prior carry the same box, bit for bit, because the graph gathers them from one
    place. Presence is the sum of a prior's class scores, at most 1: the classes exclude each other.
    """
    n_rows = np.count_nonzero(raw.scores >= floor, axis=1)
    if not n_rows.any():
        return None
    boxes, scores, cut, tiles = [], [], [], []
    for tile in np.flatnonzero(n_rows):
        n = n_rows[tile]
        tile_boxes, tile_scores = _by_prior(raw.boxes[tile, :n], raw.scores[tile, :n], raw.labels[tile, :n])
        boxes.append(plan.to_frame(tile_boxes, tile))
        scores.append(tile_scores)
        if plan.n_tiles > 1:
            cut.append(_cut(tile_boxes, plan, tile))
            tiles.append(np.full(len(tile_boxes), tile))
    limits = np.array([plan.width_px, plan.height_px] * 2, np.float32)
    clipped = np.minimum(np.maximum(np.concatenate(boxes), 0), limits)
    classes = np.concatenate(scores)
    presence = np.minimum(classes.sum(axis=1), 1.0)
    keep = ((clipped[:, 2:] - clipped[:, :2]) >= MIN_SIDE_PX).all(axis=1)
    if plan.n_tiles > 1:
        keep &= ~_shown_whole_elsewhere(clipped, np.concatenate(cut), np.concatenate(tiles), presence >= detect)
    return Priors(clipped[keep], classes[keep], presence[keep])


def _by_prior(boxes: Float32, scores: Float32, labels: Int32) -> tuple[Float32, Float32]:
    keys = np.ascontiguousarray(boxes).view(np.dtype((np.void, boxes.itemsize * 4))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    table = np.zeros((len(first), N_CLASSES), np.float32)
    np.maximum.at(table, (which.ravel(), labels), scores)
    return boxes[first], table


def _cut(boxes: Float32, plan: FitPlan, tile: int) -> Bool:
    """Boxes, in the tile's own pixels, that touch one of its inner borders."""
    size = np.array([plan.engine_width_px, plan.engine_height_px], np.float32)
    touches = np.concatenate((boxes[:, :2] <= CUT_TOLERANCE_PX, boxes[:, 2:] >= size - CUT_TOLERANCE_PX), axis=1)
    return np.asarray((touches & np.array(plan.inner_borders(tile))).any(axis=1), np.bool_)


def _shown_whole_elsewhere(boxes: Float32, cut: Bool, tiles: Int32, present: Bool) -> Bool:
    """Cut boxes that lie mostly inside a whole, present one of another tile."""
    hidden = np.zeros(len(boxes), np.bool_)
    parts, wholes = np.flatnonzero(cut), np.flatnonzero(~cut & present)
    if len(parts) and len(wholes):
        shared = intersections(boxes[parts], boxes[wholes]) >= CONTAINED * areas(boxes[parts])[:, None]
        hidden[parts] = (shared & (tiles[parts][:, None] != tiles[wholes][None, :])).any(axis=1)
    return hidden
