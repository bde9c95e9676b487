"""YOLOv3-tiny with two heads, as in Fig. 6 of Wang et al. 2019 (Darknet's yolov3-tiny)."""

import torch
from torch import Tensor, nn

from trainer.models.layers import ConvBlock, SamePool
from trainer.models.yolo_detector import YoloDetector, output_layer, start_quiet

# Width and height of a box in network pixels for a 732 x 574 field at 0.13 um/px stretched to 416 x 416; smallest at stride 16.
ANCHORS_PX: tuple[tuple[float, float], ...] = ((27, 35), (38, 48), (46, 62), (55, 70), (66, 84), (90, 112))


class YoloV3Tiny(YoloDetector):
    """Strides 16 and 32, three anchors each: 2,535 priors at 416; 8.7 million parameters for 15 classes.

    `options` are those of `YoloOptions`; the default anchors grow with the network's size.
    """

    def __init__(self, n_classes: int, network_width_px: int, network_height_px: int, **options: object) -> None:
        super().__init__(n_classes, network_width_px, network_height_px, (16, 32), ANCHORS_PX, options)
        pool = nn.MaxPool2d(2, 2)
        self.to_stride_16 = nn.Sequential(
            ConvBlock(3, 16, 3),
            pool,
            ConvBlock(16, 32, 3),
            pool,
            ConvBlock(32, 64, 3),
            pool,
            ConvBlock(64, 128, 3),
            pool,
            ConvBlock(128, 256, 3),
        )
        self.to_stride_32 = nn.Sequential(
            pool, ConvBlock(256, 512, 3), SamePool(), ConvBlock(512, 1024, 3), ConvBlock(1024, 256, 1)
        )
        self.coarse = nn.Sequential(ConvBlock(256, 512, 3), output_layer(512, n_classes))
        self.lateral = nn.Sequential(ConvBlock(256, 128, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
        self.fine = nn.Sequential(ConvBlock(384, 256, 3), output_layer(256, n_classes))
        for branch in (self.coarse, self.fine):
            start_quiet(branch[-1])

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3, h, w] -> [N, 3, h/16, w/16, 5 + C] and [N, 3, h/32, w/32, 5 + C], logits."""
        stride_16 = self.to_stride_16(images)
        stride_32 = self.to_stride_32(stride_16)
        fine = self.fine(torch.cat((self.lateral(stride_32), stride_16), dim=1))
        return self.split(fine, self.coarse(stride_32))
