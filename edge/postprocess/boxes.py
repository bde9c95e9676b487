"""Geometry of boxes x1 y1 x2 y2, float32."""

import numpy as np

from edge.contracts.detections import Float32


def areas(boxes: Float32) -> Float32:
    """[n, 4] -> [n], zero for boxes turned inside out."""
    return np.asarray(np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1), np.float32)


def intersections(a: Float32, b: Float32) -> Float32:
    """Shared area of every box of `a` [n, 4] with every box of `b` [m, 4]: [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.maximum(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def ious(a: Float32, b: Float32) -> Float32:
    """Intersection over union of every box of `a` with every box of `b`: [n, m]."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float32).tiny), np.float32)
