"""YOLOv3 (Redmon and Farhadi 2018) as in Fig. 5 of Wang et al. 2019: Darknet-53 and three heads."""

import torch
from torch import Tensor, nn

from trainer.models.layers import ConvBlock
from trainer.models.yolo_detector import YoloDetector, output_layer, start_quiet

STAGES: tuple[tuple[int, int], ...] = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Channels and residual blocks of each stage; every stage begins by halving the map."""


class Residual(nn.Module):
    """1x1 to half the channels, 3x3 back, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = ConvBlock(channels, channels // 2, 1)
        self.expand = ConvBlock(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        out: Tensor = x + self.expand(self.reduce(x))
        return out


class Darknet53(nn.Module):
    """The maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBlock(3, 32, 3)
        self.stages = nn.ModuleList(
            nn.Sequential(ConvBlock(channels // 2, channels, 3, 2), *(Residual(channels) for _ in range(blocks)))
            for channels, blocks in STAGES
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[N, 3, h, w] -> [N, 256, h/8, w/8], [N, 512, h/16, w/16], [N, 1024, h/32, w/32]."""
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[2], maps[3], maps[4]


# Round cells of nine diameters in equal ratios, 6 um (a giant platelet) to 21 um (the largest monocytes and smudges), as they
# look in a 732 x 574 field at 0.13 um/px stretched to 416 x 416; smallest at stride 8. Neighbours differ by a sixth, so a round
# cell between two of them still fits one with a shape IoU of 0.85.
ANCHORS_PX: tuple[tuple[float, float], ...] = (
    (26, 33),
    (31, 39),
    (36, 46),
    (42, 54),
    (49, 63),
    (57, 73),
    (67, 86),
    (78, 100),
    (92, 117),
)


class YoloV3(YoloDetector):
    """Strides 8, 16 and 32, three anchors each: 6,300 priors at 320, 10,647 at 416, 22,743 at 608; 61.6 million parameters.

    A head has 3 x (5 + C) channels: 60 for the 15 classes of the reference, where its Fig. 5 prints 69 (the figure for 18
    classes). `options` are those of `YoloOptions`; the default anchors grow with the network's size.
    """

    def __init__(self, n_classes: int, network_width_px: int, network_height_px: int, **options: object) -> None:
        super().__init__(n_classes, network_width_px, network_height_px, (8, 16, 32), ANCHORS_PX, options)
        self.trunk = Darknet53()
        self.neck_32 = _neck(1024, 512)
        self.coarse = nn.Sequential(ConvBlock(512, 1024, 3), output_layer(1024, n_classes))
        self.lateral_16 = nn.Sequential(ConvBlock(512, 256, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
        self.neck_16 = _neck(256 + 512, 256)
        self.middle = nn.Sequential(ConvBlock(256, 512, 3), output_layer(512, n_classes))
        self.lateral_8 = nn.Sequential(ConvBlock(256, 128, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
        self.neck_8 = _neck(128 + 256, 128)
        self.fine = nn.Sequential(ConvBlock(128, 256, 3), output_layer(256, n_classes))
        for branch in (self.coarse, self.middle, self.fine):
            start_quiet(branch[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3, h, w] -> logits [N, 3, h/s, w/s, 5 + C] for the strides s 8, 16 and 32."""
        stride_8, stride_16, stride_32 = self.trunk(images)
        stride_32 = self.neck_32(stride_32)
        stride_16 = self.neck_16(torch.cat((self.lateral_16(stride_32), stride_16), dim=1))
        stride_8 = self.neck_8(torch.cat((self.lateral_8(stride_16), stride_8), dim=1))
        return self.split(self.fine(stride_8), self.middle(stride_16), self.coarse(stride_32))


def _neck(channels_in: int, channels: int) -> nn.Sequential:
    """1x1 and 3x3 convolutions in turn, five in all; the 1x1 ones narrow to `channels`."""
    return nn.Sequential(
        ConvBlock(channels_in, channels, 1),
        ConvBlock(channels, 2 * channels, 3),
        ConvBlock(2 * channels, channels, 1),
        ConvBlock(channels, 2 * channels, 3),
        ConvBlock(2 * channels, channels, 1),
    )
