"""The layers that SSD puts on its trunk."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Stage(NamedTuple):
    """Two added layers: 1x1 to `narrow` channels, then `kernel` to `channels`; the second's output is a feature map."""

    name: str
    narrow: int
    channels: int
    kernel: int
    stride: int
    padding: int


class L2Norm(nn.Module):
    """Scales the channels of each position to unit length, times a learned factor per channel (Liu et al. 2016, section 3.1).

    conv4_3 has larger values than the deeper maps; without this it would rule the sum of their losses.
    """

    smallest: Tensor

    def __init__(self, channels: int, initial_scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), initial_scale))
        self.register_buffer("smallest", torch.tensor(1e-10), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] -> the same shape. In float32: a sum of 512 squares leaves the range of float16."""
        x = x.float()
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        # Keeps a position without any activation at zero, in value and in gradient.
        return x / torch.maximum(length, self.smallest) * self.scale.view(1, -1, 1, 1)


def added(channels_in: int, stage: Stage) -> nn.Sequential:
    """The two layers of a stage, each with a ReLU."""
    narrow = _xavier(nn.Conv2d(channels_in, stage.narrow, 1))
    wide = _xavier(nn.Conv2d(stage.narrow, stage.channels, stage.kernel, stage.stride, stage.padding))
    return nn.Sequential(narrow, nn.ReLU(inplace=True), wide, nn.ReLU(inplace=True))


def head(channels_in: int, channels_out: int) -> nn.Conv2d:
    """A 3x3 predictor on one feature map."""
    return _xavier(nn.Conv2d(channels_in, channels_out, 3, padding=1))


def per_prior(x: Tensor, values: int) -> Tensor:
    """[N, boxes * values, h, w] -> [N, h * w * boxes, values], in the order of `default_boxes`."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


def _xavier(layer: nn.Conv2d) -> nn.Conv2d:
    """As the paper starts every layer that is not pretrained (section 3)."""
    nn.init.xavier_uniform_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
