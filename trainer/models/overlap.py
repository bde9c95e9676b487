"""Overlap measures on x1 y1 x2 y2 boxes."""

import torch
from torch import Tensor

INSIDE_IGNORED = 0.5
"""A prior with more than this share in an ignored region (`share_inside`) is not trained."""


def area(boxes: Tensor) -> Tensor:
    """[..., 4] -> [...]."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise overlap area: [n, 4], [m, 4] -> [n, m]."""
    # Side by side, not as one [n, m, 2]: a third of the time.
    ax1, ay1, ax2, ay2 = a.unbind(dim=1)
    bx1, by1, bx2, by2 = b.unbind(dim=1)
    width = torch.minimum(ax2[:, None], bx2) - torch.maximum(ax1[:, None], bx1)
    height = torch.minimum(ay2[:, None], by2) - torch.maximum(ay1[:, None], by1)
    return width.clamp(min=0) * height.clamp(min=0)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Pairwise intersection over union: [n, 4], [m, 4] -> [n, m]."""
    overlap = intersection(a, b)
    return overlap / (area(a)[:, None] + area(b)[None, :] - overlap).clamp(min=1e-9)


def share_inside(boxes: Tensor, regions: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Share of each box that lies in each region, counting only what is inside the image: [n, 4], [m, 4] -> [n, m].

    `size_px` is the image's width and height. An ignored region often is what the border left of a cell, while boxes reach over
    the border: of their whole area too little would lie in the region.
    """
    width, height = size_px
    visible = torch.stack((boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)), dim=-1).flatten(-2)
    return intersection(visible, regions) / area(visible).clamp(min=1e-9)[:, None]


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Row by row: [n, 4], [n, 4] -> [n], in -1..1 (Rezatofighi et al. 2019, algorithm 1)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    side = (high - low).clamp(min=0)
    overlap = side[:, 0] * side[:, 1]
    union = area(a) + area(b) - overlap
    hull_low, hull_high = torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])
    hull = (hull_high - hull_low).prod(dim=1)
    return overlap / union.clamp(min=1e-9) - (hull - union) / hull.clamp(min=1e-9)
