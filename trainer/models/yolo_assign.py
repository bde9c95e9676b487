"""Which priors of YOLOv3 a cell trains, and which are left out (Redmon and Farhadi 2018, section 2.1).

The anchor that fits a cell best, at the grid cell that holds its centre, is positive; priors whose predicted box overlaps a
cell by more than the ignore threshold without being positive are left out; all others are background.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.data.annotation import IGNORE
from trainer.models.detector import Targets
from trainer.models.overlap import INSIDE_IGNORED, iou, share_inside
from trainer.models.yolo_head import YoloHead


class Assignment(NamedTuple):
    """The positive priors of a batch, int64 [m] each, by image and then prior.

    `prior` is a row of the image's flat list of priors, `cell` a row of all images' targets put together.
    """

    image: Tensor
    prior: Tensor
    cell: Tensor


def shape_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """IoU of boxes that share a centre: [n, 2], [a, 2] -> [n, a]."""
    overlap = torch.minimum(sizes[:, None, :], anchors[None]).prod(dim=2)
    return overlap / (sizes.prod(dim=1)[:, None] + anchors.prod(dim=1)[None] - overlap)


@torch.no_grad()
def assign(
    heads: Sequence[YoloHead],
    grids: Sequence[tuple[int, int]],
    targets: Sequence[Targets],
    also_positive_iou: float | None = None,
) -> Assignment:
    """Positive priors of a batch, on the CPU: how many there are depends on the data, and an accelerator would have to wait.

    `grids` are (rows, columns) per head. Each cell takes its best anchor over all heads and, where `also_positive_iou` is
    given, every anchor that fits better than that. A prior claimed by several cells goes to the one whose shape fits better,
    of equal ones to the first.
    """
    every = together(targets, torch.device("cpu"))
    images = torch.repeat_interleave(torch.tensor([len(target.labels) for target in targets]))
    keep = torch.nonzero(every.labels != IGNORE).flatten()
    boxes = every.boxes[keep]
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    anchors, places, n_priors = _anchors(heads, grids)
    fits = shape_iou(sizes, anchors)
    chosen = torch.zeros_like(fits, dtype=torch.bool) if also_positive_iou is None else fits > also_positive_iou
    row, anchor = torch.nonzero(chosen.scatter(1, fits.argmax(dim=1, keepdim=True), True), as_tuple=True)
    stride, first, rows, columns = places[anchor].unbind(dim=1)
    x = torch.minimum((centres[row, 0] / stride).long().clamp(min=0), columns - 1)
    y = torch.minimum((centres[row, 1] / stride).long().clamp(min=0), rows - 1)
    claimed = images[keep[row]] * n_priors + first + y * columns + x
    # Sorted by prior, best fit first, then by order: the first of each prior has it.
    order = fits[row, anchor].argsort(descending=True, stable=True)
    order = order[claimed[order].argsort(stable=True)]
    claimed = claimed[order]
    wins = torch.ones_like(claimed, dtype=torch.bool)
    wins[1:] = claimed[1:] != claimed[:-1]
    claimed = claimed[wins]
    return Assignment(claimed // n_priors, claimed % n_priors, keep[row[order[wins]]])


def together(targets: Sequence[Targets], device: torch.device) -> Targets:
    """The cells of all images in one, on `device`."""
    boxes, labels = torch.cat([target.boxes for target in targets]), torch.cat([target.labels for target in targets])
    return Targets(boxes.to(device), labels.to(device))


def background(boxes: Tensor, target: Targets, ignore_iou: float, network_size_px: tuple[int, int]) -> Tensor:
    """1 for priors that count as background, 0 for those that overlap a cell or lie in an ignored region: [P, 4] -> [P]."""
    ignored = target.labels == IGNORE
    cells, regions = target.boxes[~ignored].to(boxes.device), target.boxes[ignored].to(boxes.device)
    near = (iou(boxes, cells) > ignore_iou).any(dim=1)
    inside = (share_inside(boxes, regions, network_size_px) > INSIDE_IGNORED).any(dim=1)
    return (~(near | inside)).float()


def _anchors(heads: Sequence[YoloHead], grids: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor, int]:
    """Anchors of all heads [a, 2]; of each its stride, first prior, rows and columns [a, 4]; and the number of priors."""
    anchors, places, first = [], [], 0
    for head, (rows, columns) in zip(heads, grids, strict=True):
        for anchor in head.anchors_px:
            anchors.append(anchor)
            places.append((head.stride_px, first, rows, columns))
            first += rows * columns
    return torch.tensor(anchors, dtype=torch.float32), torch.tensor(places), first
