"""Overlap measures on x1 y1 x2 y2 boxes."""

import torch
from torch import Tensor


def area(boxes: Tensor) -> Tensor:
    """[..., 4] -> [...]."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise overlap area: [n, 4], [m, 4] -> [n, m]."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    side = (high - low).clamp(min=0)
    return side[..., 0] * side[..., 1]


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise intersection over union: [n, 4], [m, 4] -> [n, m]."""
    overlap = intersection(a, b)
    return overlap / (area(a)[:, None] + area(b)[None, :] - overlap).clamp(min=1e-9)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Row by row: [n, 4], [n, 4] -> [n], in -1..1 (Rezatofighi et al. 2019, algorithm 1)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    side = (high - low).clamp(min=0)
    overlap = side[:, 0] * side[:, 1]
    union = area(a) + area(b) - overlap
    hull_low, hull_high = torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])
    hull = (hull_high - hull_low).prod(dim=1)
    return overlap / union.clamp(min=1e-9) - (hull - union) / hull.clamp(min=1e-9)
