"""What a recipe may set in a YOLO architecture, and its anchors."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from edge.contracts.base import Strict
from edge.contracts.errors import ConfigError
from trainer.models.options import validated

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


def read_options(options: Mapping[str, Any], n_anchors: int) -> YoloOptions:
    """Validate `options`. Raises `ConfigError` for an unknown key, a value out of range, or not `n_anchors` anchors."""
    read = validated(YoloOptions, options)
    if read.anchors_px is not None and len(read.anchors_px) != n_anchors:
        raise ConfigError(f"`options.anchors_px` has {len(read.anchors_px)} anchors where the network needs {n_anchors}.")
    return read


def scaled_anchors(anchors_px: Sequence[tuple[float, float]], width_px: int, height_px: int) -> list[tuple[float, float]]:
    """Anchors written for `ANCHORS_FOR_PX` as they are when the same field is stretched to another network size."""
    return [(w * width_px / ANCHORS_FOR_PX, h * height_px / ANCHORS_FOR_PX) for w, h in anchors_px]
