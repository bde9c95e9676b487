"""Darknet-53, the trunk of YOLOv3 (Redmon and Farhadi 2018, table 1), without its classifier: 52 convolutions."""

from torch import Tensor, nn

from trainer.models.layers import ConvBlock

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
