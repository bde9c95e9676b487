"""Layers that several detectors share."""

import math

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 8
"""Into which the channels are divided where they are normalised by groups, or the most that divide them evenly."""


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, leaky ReLU (slope 0.1): Darknet's unit (Redmon and Farhadi 2018)."""

    norm: nn.BatchNorm2d | nn.GroupNorm

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[N, Cin, H, W] -> [N, Cout, H / stride, W / stride]."""
        return functional.leaky_relu(self.norm(self.conv(x)), 0.1)

    def fused(self) -> nn.Sequential:
        """The same arithmetic with the normalisation folded into the convolution (inference only); one by groups stays."""
        if isinstance(self.norm, nn.GroupNorm):
            return nn.Sequential(self.conv, self.norm, nn.LeakyReLU(0.1))
        conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
        return nn.Sequential(conv, nn.LeakyReLU(0.1))


class SamePool(nn.Module):
    """2x2 max pool of stride 1 that keeps the size, as Darknet-tiny has it.

    The edge is replicated rather than padded with a large negative constant: the result is identical and the graph survives
    8-bit quantisation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        return functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), mode="replicate"), 2, 1)


def normalise_by_groups(module: nn.Module) -> None:
    """Give every `ConvBlock` inside `module` a group normalisation (Wu and He 2018), in place: each image by itself, so that no
    statistics of the images trained on remain."""
    for block in module.modules():
        if isinstance(block, ConvBlock):
            channels = block.conv.out_channels
            block.norm = nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def fuse(module: nn.Module) -> None:
    """Replace every `ConvBlock` inside `module` by its fused form, in place."""
    for name, child in module.named_children():
        if isinstance(child, ConvBlock):
            setattr(module, name, child.fused())
        else:
            fuse(child)
