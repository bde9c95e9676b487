"""What a recipe may set in a YOLO architecture, its anchors, and one output scale: priors and boxes."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from edge.contracts.base import Strict
from edge.contracts.errors import ConfigError
from trainer.models.detector import validated

ANCHORS_FOR_PX = 416
"""The network size that the architectures' tables of anchors are written for."""

AnchorSide = Annotated[float, Field(gt=0)]


class YoloOptions(Strict):
    """The key `options` of a recipe. The defaults are those of Redmon and Farhadi 2018, section 2.1."""

    anchors_px: tuple[tuple[AnchorSide, AnchorSide], ...] | None = Field(
        None,
        description="width and height in network pixels, three a head, smallest first; none: those of the reference's field",
    )
    box_loss: Literal["squared", "giou"] = Field("squared", description="squared error as in the paper, or generalised IoU")
    also_positive_iou: float | None = Field(
        None, gt=0, lt=1, description="anchors whose shape fits a cell better than this are positive too; none: only the best"
    )
    ignore_iou: float = Field(
        0.5, gt=0, le=1, description="priors that overlap a cell more without being positive are left out"
    )
    box_weight: float = Field(1.0, gt=0, description="factor of the box loss")
    normalisation: Literal["batch", "group"] = Field(
        "batch", description="over the batch, or over groups of each image's channels"
    )


def read_options(options: Mapping[str, Any], n_anchors: int) -> YoloOptions:
    """Validate `options`. Raises `ConfigError` for an unknown key, a value out of range, or not `n_anchors` anchors."""
    read = validated(YoloOptions, options)
    if read.anchors_px is not None and len(read.anchors_px) != n_anchors:
        raise ConfigError(f"`options.anchors_px` has {len(read.anchors_px)} anchors where the network needs {n_anchors}.")
    return read


def scaled_anchors(anchors_px: Sequence[tuple[float, float]], width_px: int, height_px: int) -> list[tuple[float, float]]:
    """Anchors written for `ANCHORS_FOR_PX` as they are when the same field is stretched to another network size."""
    return [(w * width_px / ANCHORS_FOR_PX, h * height_px / ANCHORS_FOR_PX) for w, h in anchors_px]


class YoloHead(nn.Module):
    """Three anchors (width, height in network pixels) on a grid of `stride_px` network pixels.

    `anchors_px` are those of the buffer `anchors`, for what is computed on the CPU wherever the detector is.
    """

    anchors: Tensor

    def __init__(self, stride_px: int, anchors_px: Sequence[tuple[float, float]], n_classes: int) -> None:
        super().__init__()
        self.stride_px = stride_px
        self.n_classes = n_classes
        self.anchors_px = tuple(anchors_px)
        self.register_buffer("anchors", torch.tensor(anchors_px, dtype=torch.float32), persistent=False)

    def split(self, x: Tensor) -> Tensor:
        """[N, 3 * (5 + C), h, w] -> [N, 3, h, w, 5 + C]: tx ty tw th, objectness logit, class logits."""
        n, _, h, w = x.shape
        return x.view(n, len(self.anchors), 5 + self.n_classes, h, w).permute(0, 1, 3, 4, 2)

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [N, P, 4] x1 y1 x2 y2 in network pixels, objectness logits [N, P, 1], class logits [N, P, C].

        b = (sigmoid(t_xy) + cell) * stride, anchor * exp(t_wh): Redmon and Farhadi 2018, section 2.1.
        """
        n, a, h, w, _ = x.shape
        ys = torch.arange(h, dtype=torch.float32, device=x.device).view(1, 1, h, 1)
        xs = torch.arange(w, dtype=torch.float32, device=x.device).view(1, 1, 1, w)
        centre_x = (x[..., 0].sigmoid() + xs) * self.stride_px
        centre_y = (x[..., 1].sigmoid() + ys) * self.stride_px
        # exp is bounded: an anchor is never off by more than a factor of e^3, and a wild logit must not become infinity.
        half_w = x[..., 2].clamp(-3.0, 3.0).exp() * self.anchors[:, 0].view(1, a, 1, 1) / 2
        half_h = x[..., 3].clamp(-3.0, 3.0).exp() * self.anchors[:, 1].view(1, a, 1, 1) / 2
        boxes = torch.stack((centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h), dim=-1)
        flat = x.reshape(n, a * h * w, 5 + self.n_classes)
        return boxes.reshape(n, a * h * w, 4), flat[..., 4:5], flat[..., 5:]

    def priors(self, rows: int, columns: int) -> Tensor:
        """[P, 5], in the order of `decode`: column, row, stride and anchor width and height in network pixels."""
        device = self.anchors.device
        a, row, column = torch.meshgrid(
            *(torch.arange(n, device=device) for n in (len(self.anchors), rows, columns)), indexing="ij"
        )
        place = torch.stack((column.flatten(), row.flatten(), torch.full_like(row.flatten(), self.stride_px)), dim=1)
        return torch.cat((place.float(), self.anchors[a.flatten()]), dim=1)
