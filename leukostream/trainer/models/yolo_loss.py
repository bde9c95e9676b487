"""YOLOv3's loss: target assignment, and the three terms.

Assignment follows Redmon and Farhadi 2018 (section 2.1): the anchor that fits a cell best, at the grid cell that holds its
centre, is positive; priors that overlap a cell by more than the ignore threshold without being its best are left out.
Two choices differ, because training sets here are small: other anchors that fit by more than `ALSO_POSITIVE_IOU` are positive
too, and boxes are regressed by generalised IoU (Rezatofighi et al. 2019) instead of squared error.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from leukostream.edge.contracts.cells import INDEX
from leukostream.trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL
from leukostream.trainer.models.boxes import area, generalised_iou, intersection, iou
from leukostream.trainer.models.detector import Targets
from leukostream.trainer.models.yolo_head import YoloHead

NEUTROPHILS = (INDEX["neutrophil_band"], INDEX["neutrophil_segmented"])
IGNORE_IOU = 0.5
ALSO_POSITIVE_IOU = 0.6
BOX_WEIGHT = 3.0


def shape_iou(sizes: Tensor, anchors: Tensor) -> Tensor:
    """IoU of boxes that share a centre: [n, 2], [a, 2] -> [n, a]."""
    overlap = torch.minimum(sizes[:, None, :], anchors[None]).prod(dim=2)
    return overlap / (sizes.prod(dim=1)[:, None] + anchors.prod(dim=1)[None] - overlap)


def assign(heads: Sequence[YoloHead], grids: Sequence[tuple[int, int]], target: Targets) -> tuple[Tensor, Tensor]:
    """Positive priors of one image: (flat prior index [m], index of its cell in `target` [m]).

    `grids` are (rows, columns) per head. A prior claimed by several cells goes to the one whose shape fits better.
    """
    keep = torch.nonzero(target.labels != IGNORE).flatten()
    boxes = target.boxes[keep]
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    fits = shape_iou(sizes, torch.cat([head.anchors for head in heads]))
    chosen = fits > ALSO_POSITIVE_IOU
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


def yolo_loss(heads: Sequence[YoloHead], raw: Sequence[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
    """Box, objectness and class loss, each a sum over priors.

    Untyped leukocytes train box and objectness, ignored regions nothing.
    """
    grids = [(x.shape[2], x.shape[3]) for x in raw]
    parts = [head.decode(x) for head, x in zip(heads, raw, strict=True)]
    boxes = torch.cat([p[0] for p in parts], dim=1).float()
    objectness = torch.cat([p[1] for p in parts], dim=1)[..., 0].float()
    classes = torch.cat([p[2] for p in parts], dim=1).float()

    wanted = torch.zeros_like(objectness)
    weight = torch.ones_like(objectness)
    box_terms, class_terms = [], []
    for n, target in enumerate(targets):
        with torch.no_grad():
            weight[n] = _trained(boxes[n], target)
        prior, cell = assign(heads, grids, target)
        if not len(prior):
            continue
        wanted[n, prior] = 1.0
        weight[n, prior] = 1.0
        box_terms.append((1 - generalised_iou(boxes[n, prior], target.boxes[cell])).sum())
        class_terms.append(class_loss(classes[n, prior], target.labels[cell]))
    object_loss = functional.binary_cross_entropy_with_logits(objectness, wanted, weight, reduction="sum")
    zero = objectness.sum() * 0.0
    return {
        "box": BOX_WEIGHT * (torch.stack(box_terms).sum() if box_terms else zero),
        "objectness": object_loss,
        "class": torch.stack(class_terms).sum() if class_terms else zero,
    }


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Independent logistic loss of positive priors [m, C], summed over what their labels say.

    An untyped neutrophil is known to be none of the other types, and it is open which of the two neutrophils it is.
    """
    wanted = functional.one_hot(labels.clamp(min=0), logits.shape[1]).float() * (labels >= 0)[:, None]
    known = (labels >= 0)[:, None].repeat(1, logits.shape[1])
    known[labels == UNTYPED_NEUTROPHIL] = True
    neutrophils = torch.zeros(logits.shape[1], dtype=torch.bool)
    neutrophils[[index for index in NEUTROPHILS if index < logits.shape[1]]] = True
    known &= ~((labels == UNTYPED_NEUTROPHIL)[:, None] & neutrophils)
    return functional.binary_cross_entropy_with_logits(logits, wanted, known.float(), reduction="sum")


def _trained(boxes: Tensor, target: Targets) -> Tensor:
    """1 for priors that count as background, 0 for those that overlap a cell or lie in an ignored region: [P]."""
    if not len(target.boxes):
        return torch.ones(len(boxes))
    ignored = target.labels == IGNORE
    near = (iou(boxes, target.boxes[~ignored]) > IGNORE_IOU).any(dim=1)
    inside = intersection(boxes, target.boxes[ignored]) / area(boxes).clamp(min=1.0)[:, None]
    return (~(near | (inside > 0.5).any(dim=1))).float()
