"""The interface of a detector, and the list of those that exist."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leukostream.edge.contracts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Targets:
    """What one image holds, in network pixels.

    boxes [n, 4] float32 x1 y1 x2 y2; labels [n] int64: 0..C-1, or one of `annotation`'s special labels: -1 a leukocyte of
    unknown type (no class loss), -2 a region where nothing is trained, -3 a neutrophil, band or segmented.
    """

    boxes: Tensor
    labels: Tensor


class Detector(nn.Module, ABC):
    """Takes RGB images in 0..1, float32 [N, 3, h, w]; everything is in network pixels."""

    n_classes: int
    network_width_px: int
    network_height_px: int

    @abstractmethod
    def forward(self, images: Tensor) -> list[Tensor]:
        """Raw head outputs."""

    @abstractmethod
    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Boxes [N, P, 4] x1 y1 x2 y2 and class scores [N, P, C] in 0..1, for all P priors."""

    @abstractmethod
    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Scalar losses by name; their sum is minimised."""


def build_detector(architecture: str, n_classes: int, options: dict[str, object], seed: int) -> Detector:
    """Make a detector with random weights drawn from `seed`. Raises `ConfigError` for an unknown name."""
    from leukostream.trainer.models.yolov3_tiny import YoloV3Tiny  # noqa: PLC0415 - the table below is the only place that knows

    known: dict[str, type[Detector]] = {"yolov3-tiny": YoloV3Tiny}
    if architecture not in known:
        raise ConfigError(f"architecture {architecture!r} is not known; choose one of {', '.join(sorted(known))}.")
    torch.manual_seed(seed)
    return known[architecture](n_classes, **options)
