"""From the graph's candidates to cells: priors gathered, then suppressed until one cell has one label.

A prior is one place of the graph with a score per class. Priors are gathered from the rows of all tiles of a field, in pixels
of the original frame. Suppression is per class first, then across classes, so that a cell has one label, its runner-up and its
margin. Boxes are x1 y1 x2 y2, float32.
"""

from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from edge.camera.resample import FitPlan
from edge.contracts.cells import N_CLASSES
from edge.contracts.detections import Bool, Cells, Float32, Int32, RawDetections
from edge.postprocess.operating_point import OperatingPoint

CUT_TOLERANCE_PX = 4.0
"""A box this close to a tile's inner border may belong to a cell that goes on behind it. Calling a whole cell cut is harmless:
it is only dropped where the neighbouring tile shows it too."""

CONTAINED = 0.6
"""Share of a cut box's area inside a whole box of another tile from which both are the same cell."""

MIN_SIDE_PX = 1.0
_BOX_BYTES = 4 * np.dtype(np.float32).itemsize


@dataclass(frozen=True, slots=True)
class _Priors:
    """boxes [n, 4] clipped to the frame; scores [n, N_CLASSES], zero where the graph gave no row; presence [n]."""

    boxes: Float32
    scores: Float32
    presence: Float32


def postprocess(raw: RawDetections, plan: FitPlan, point: OperatingPoint) -> Cells:
    """Cells of one field from the graph's rows for its tiles (raw has [n_tiles, K, ...]), in pixels of the original frame.

    A cell is where the prior of highest presence is; its class scores are the best over the priors that suppression merges
    into it, so that a neighbouring prior of another opinion lowers the margin. `overflow` says that the last row of a tile is
    still above the lowest score that can matter: the graph's K was too small for this field.
    """
    overflow = bool((raw.scores[:, -1] >= point.floor).any())
    priors = _gather_priors(raw, plan, point.floor, point.detect)
    if priors is None:
        return _no_cells(overflow)
    present = np.flatnonzero(priors.presence >= point.detect).astype(np.int32)
    if not len(present):
        return _no_cells(overflow)
    winners = present[_suppress(priors.boxes[present], priors.presence[present], priors.scores[present], point)]
    return _label(priors, winners, point, overflow)


def _suppress(boxes: Float32, presence: Float32, scores: Float32, point: OperatingPoint) -> Int32:
    """Indices that survive both suppressions, by presence, descending."""
    if len(boxes) == 1:
        return np.zeros(1, np.int32)
    sides = np.concatenate((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), axis=1).astype(np.float64)
    best = scores.argmax(axis=1)
    first = _flat(cv2.dnn.NMSBoxesBatched(sides, presence.tolist(), best, 0.0, point.nms_iou))
    kept = _flat(cv2.dnn.NMSBoxes(sides[first], presence[first].tolist(), 0.0, point.agnostic_iou))
    survivors = first[kept]
    return survivors[np.argsort(-presence[survivors], kind="stable")]


def _flat(indices: object) -> Int32:
    """OpenCV returns an array, or an empty tuple when nothing is left; its stubs say a sequence."""
    return np.asarray(cast("list[int]", indices), np.int32).ravel()


def _label(priors: _Priors, winners: Int32, point: OperatingPoint, overflow: bool) -> Cells:
    boxes = priors.boxes[winners]
    overlap = ious(boxes, priors.boxes)
    # Each prior speaks for the one winner it overlaps most, never for two neighbouring cells.
    rows = np.arange(len(winners))
    mine = (overlap.argmax(axis=0)[None, :] == rows[:, None]) & (overlap >= point.agnostic_iou)
    mine[rows, winners] = True
    scores = np.where(mine[:, :, None], priors.scores[None], np.float32(0)).max(axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2].astype(np.int32)
    best, second = scores[rows, order[:, 0]], scores[rows, order[:, 1]]
    margins = best - second
    return Cells(
        boxes_px=boxes,
        presence=priors.presence[winners],
        scores=best,
        classes=order[:, 0],
        runner_up=np.where(second > 0, order[:, 1], -1).astype(np.int32),
        margins=margins,
        identified=(best >= point.identify[order[:, 0]]) & (margins >= point.margin),
        overflow=overflow,
    )


def _no_cells(overflow: bool) -> Cells:
    none, no_class = np.zeros(0, np.float32), np.zeros(0, np.int32)
    return Cells(np.zeros((0, 4), np.float32), none, none, no_class, no_class, none, np.zeros(0, np.bool_), overflow)


def _gather_priors(raw: RawDetections, plan: FitPlan, floor: float, detect: float) -> _Priors | None:
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
    return _Priors(clipped[keep], classes[keep], presence[keep])


def _by_prior(boxes: Float32, scores: Float32, labels: Int32) -> tuple[Float32, Float32]:
    """In the order of the boxes' bytes, whatever the rows' order. Of a few rows a dictionary makes that sooner than numpy."""
    content = np.ascontiguousarray(boxes).tobytes()
    keys = [content[at : at + _BOX_BYTES] for at in range(0, len(content), _BOX_BYTES)]
    first: dict[bytes, int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    order = sorted(first)
    place = {key: at for at, key in enumerate(order)}
    table, which = np.zeros((len(order), N_CLASSES), np.float32), np.array([place[key] for key in keys], np.intp)
    np.maximum.at(table, (which, labels), scores)
    return boxes[[first[key] for key in order]], table


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
        shared = _intersections(boxes[parts], boxes[wholes]) >= CONTAINED * _areas(boxes[parts])[:, None]
        hidden[parts] = (shared & (tiles[parts][:, None] != tiles[wholes][None, :])).any(axis=1)
    return hidden


def _areas(boxes: Float32) -> Float32:
    """[n, 4] -> [n], zero for boxes turned inside out."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float32)


def _intersections(a: Float32, b: Float32) -> Float32:
    """Shared area of every box of `a` [n, 4] with every box of `b` [m, 4]: [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def ious(a: Float32, b: Float32) -> Float32:
    """Intersection over union of every box of `a` with every box of `b`: [n, m]."""
    shared = _intersections(a, b)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), np.float32)
