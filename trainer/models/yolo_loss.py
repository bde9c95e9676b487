"""YOLOv3's loss: box, objectness and class, each a sum over the priors that `yolo_assign` chose."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trainer.data.annotation import NEUTROPHILS, UNTYPED_NEUTROPHIL
from trainer.models.detector import Targets
from trainer.models.overlap import generalised_iou
from trainer.models.yolo_assign import assign, background, together
from trainer.models.yolo_head import YoloHead
from trainer.models.yolo_options import YoloOptions


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
