"""Geometry of boxes x1 y1 x2 y2, float32."""

import numpy as np

from leukostream.edge.contracts.detections import Float32


def areas(boxes: Float32) -> Float32:
    """[n, 4] -> [n], zero for boxes turned inside out."""
    return np.asarray(np.clip(boxes[:, 2] - boxes[:, 0], 0, None) * np.clip(boxes[:, 3] - boxes[:, 1], 0, None), np.float32)


def intersections(a: Float32, b: Float32) -> Float32:
    """Shared area of every box of `a` [n, 4] with every box of `b` [m, 4]: [n, m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    sides = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - low, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def ious(a: Float32, b: Float32) -> Float32:
    """Intersection over union of every box of `a` with every box of `b`: [n, m]."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0), np.float32)
