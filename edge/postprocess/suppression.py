"""Suppression: per class first, then across classes, so that one cell has one label, its runner-up and its margin."""

from typing import cast

import cv2
import numpy as np

from edge.camera.resample import FitPlan
from edge.contracts.detections import Cells, Float32, Int32, RawDetections
from edge.postprocess.boxes import ious
from edge.postprocess.operating_point import OperatingPoint
from edge.postprocess.priors import Priors, gather_priors


def postprocess(raw: RawDetections, plan: FitPlan, point: OperatingPoint) -> Cells:
    """Cells of one field from the graph's rows for its tiles (raw has [n_tiles, K, ...]), in pixels of the original frame.

    A cell is where the prior of highest presence is; its class scores are the best over the priors that suppression merges
    into it, so that a neighbouring prior of another opinion lowers the margin. `overflow` says that the last row of a tile is
    still above the lowest score that can matter: the graph's K was too small for this field.
    """
    overflow = bool((raw.scores[:, -1] >= point.floor).any())
    priors = gather_priors(raw, plan, point.floor, point.detect)
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


def _label(priors: Priors, winners: Int32, point: OperatingPoint, overflow: bool) -> Cells:
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
