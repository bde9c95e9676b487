"""Which priors of YOLOv3 a cell trains, and which are left out (Redmon and Farhadi 2018, section 2.1).

The anchor that fits a cell best, at the grid cell that holds its centre, is positive; priors whose predicted box overlaps a
cell by more than the ignore threshold without being positive are left out; all others are background.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from leukostream.trainer.data.annotation import IGNORE
from leukostream.trainer.models.boxes import area, intersection, iou
from leukostream.trainer.models.detector import Targets
from leukostream.trainer.models.yolo_head import YoloHead


def shape_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """IoU of boxes that share a centre: [n, 2], [a, 2] -> [n, a]."""
    overlap = torch.minimum(sizes[:, None, :], anchors[None]).prod(dim=2)
    return overlap / (sizes.prod(dim=1)[:, None] + anchors.prod(dim=1)[None] - overlap)


def assign(
    heads: Sequence[YoloHead], grids: Sequence[tuple[int, int]], target: Targets, also_positive_iou: float | None = None
) -> tuple[Tensor, Tensor]:
    """Positive priors of one image: (flat prior index [m], index of its cell in `target` [m]).

    `grids` are (rows, columns) per head. Each cell takes its best anchor over all heads and, where `also_positive_iou` is
    given, every anchor that fits better than that. A prior claimed by several cells goes to the one whose shape fits better.
    """
    keep = torch.nonzero(target.labels != IGNORE).flatten()
    boxes = target.boxes[keep]
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    fits = shape_iou(sizes, torch.cat([head.anchors for head in heads]).to(sizes.device))
    chosen = torch.zeros_like(fits, dtype=torch.bool) if also_positive_iou is None else fits > also_positive_iou
    if len(keep):
        chosen[torch.arange(len(keep)), fits.argmax(dim=1)] = True
    winner: dict[int, tuple[float, int]] = {}
    offset, anchor = 0, 0
    for head, (rows, columns) in zip(heads, grids, strict=True):
        column = (centres[:, 0] / head.stride_px).long().clamp(0, columns - 1)
        row = (centres[:, 1] / head.stride_px).long().clamp(0, rows - 1)
        for a in range(len(head.anchors)):
            for k in torch.nonzero(chosen[:, anchor + a]).flatten().tolist():
                prior = offset + (a * rows + int(row[k])) * columns + int(column[k])
                fit = float(fits[k, anchor + a])
                if fit > winner.get(prior, (-1.0, 0))[0]:
                    winner[prior] = (fit, int(keep[k]))
        offset += len(head.anchors) * rows * columns
        anchor += len(head.anchors)
    priors = sorted(winner)
    return torch.tensor(priors, dtype=torch.long), torch.tensor([winner[p][1] for p in priors], dtype=torch.long)


def background(boxes: Tensor, target: Targets, ignore_iou: float) -> Tensor:
    """1 for priors that count as background, 0 for those that overlap a cell or lie in an ignored region: [P, 4] -> [P]."""
    if not len(target.boxes):
        return torch.ones(len(boxes), device=boxes.device)
    ignored = target.labels == IGNORE
    near = (iou(boxes, target.boxes[~ignored]) > ignore_iou).any(dim=1)
    inside = intersection(boxes, target.boxes[ignored]) / area(boxes).clamp(min=1.0)[:, None]
    return (~(near | (inside > 0.5).any(dim=1))).float()
