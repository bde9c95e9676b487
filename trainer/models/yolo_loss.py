"""YOLOv3's loss (Redmon and Farhadi 2018, section 2.1): which priors a cell trains, and the terms, each a sum over those.

The anchor that fits a cell best, at the grid cell that holds its centre, is positive; priors whose predicted box overlaps a
cell by more than the ignore threshold without being positive are left out; all others are background.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL
from trainer.models.detector import Targets
from trainer.models.overlap import INSIDE_IGNORED, generalised_iou, iou, share_inside
from trainer.models.yolo_head import YoloHead, YoloOptions


def yolo_loss(
    heads: Sequence[YoloHead], raw: Sequence[Tensor], targets: Sequence[Targets], options: YoloOptions
) -> dict[str, Tensor]:
    """`raw` is one [N, A, h, w, 5 + C] per head. Untyped leukocytes train box and objectness, ignored regions nothing."""
    grids = [(x.shape[2], x.shape[3]) for x in raw]
    single = [x.float() for x in raw]  # half precision cannot tell the overlaps of small boxes apart
    boxes = torch.cat([head.decode(x)[0] for head, x in zip(heads, single, strict=True)], dim=1)
    logits = torch.cat([x.flatten(1, 3) for x in single], dim=1)
    places = torch.cat([head.priors(*grid) for head, grid in zip(heads, grids, strict=True)])
    size = (heads[0].stride_px * grids[0][1], heads[0].stride_px * grids[0][0])
    with torch.no_grad():
        weight = torch.stack(
            [background(b, target, options.ignore_iou, size) for b, target in zip(boxes, targets, strict=True)]
        )
    image, prior, cell = (x.to(logits.device) for x in assign(heads, grids, targets, options.also_positive_iou))
    cells = together(targets, logits.device)
    wanted = torch.zeros_like(weight)
    wanted[image, prior] = 1.0
    weight[image, prior] = 1.0
    if options.box_loss == "giou":
        box = (1 - generalised_iou(boxes[image, prior], cells.boxes[cell])).sum()
    else:
        box = squared_loss(logits[image, prior, :4], cells.boxes[cell], places[prior], float(size[0] * size[1]))
    return {
        "box": options.box_weight * box,
        "objectness": functional.binary_cross_entropy_with_logits(logits[..., 4], wanted, weight, reduction="sum"),
        "class": class_loss(logits[image, prior, 5:], cells.labels[cell]),
    }


def squared_loss(raw: Tensor, boxes: Tensor, places: Tensor, network_area_px2: float) -> Tensor:
    """Box loss of positive priors: raw [m, 4] tx ty tw th, boxes [m, 4] x1 y1 x2 y2, places [m, 5] of `YoloHead.priors`.

    The paper (section 2.1) defines it by its gradient, truth minus prediction. For tw and th that is half the squared error.
    The truth of tx and ty is infinite on a grid cell's border, so Darknet takes the difference behind the sigmoid; the term
    with that gradient is the logistic one. It is less its own minimum, so that a perfect answer costs nothing. As in Darknet,
    a box counts 2 minus its share of the image's area: an error of a pixel means more to a small cell.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    inside = ((boxes[:, :2] + boxes[:, 2:]) / 2 / places[:, 2:3] - places[:, :2]).clamp(0.0, 1.0)
    least = torch.special.entr(inside) + torch.special.entr(1 - inside)
    place = functional.binary_cross_entropy_with_logits(raw[:, :2], inside, reduction="none") - least
    shape = (raw[:, 2:] - (sizes / places[:, 3:]).log()).square() / 2
    weight = 2 - sizes.prod(dim=1) / network_area_px2
    return torch.sum(weight * (place + shape).sum(dim=1))


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Independent logistic loss of positive priors [m, C], summed over what their labels say.

    An untyped neutrophil is known to be none of the other types, and it is open which of the two neutrophils it is.
    """
    wanted = functional.one_hot(labels.clamp(min=0), logits.shape[1]).float() * (labels >= 0)[:, None]
    known = (labels >= 0)[:, None].repeat(1, logits.shape[1])
    known[labels == UNTYPED_NEUTROPHIL] = True
    neutrophils = torch.zeros(logits.shape[1], dtype=torch.bool, device=logits.device)
    neutrophils[[index for index in NEUTROPHILS if index < logits.shape[1]]] = True
    known &= ~((labels == UNTYPED_NEUTROPHIL)[:, None] & neutrophils)
    return functional.binary_cross_entropy_with_logits(logits, wanted, known.float(), reduction="sum")


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
