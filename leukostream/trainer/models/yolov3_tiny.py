"""YOLOv3-tiny with two heads, as in Fig. 6 of Wang et al. 2019 (Darknet's yolov3-tiny)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.models.detector import Detector, Targets
from leukostream.trainer.models.layers import ConvBlock, SamePool
from leukostream.trainer.models.yolo_head import YoloHead
from leukostream.trainer.models.yolo_loss import assign, yolo_loss

# Width and height of a box in network pixels for a 732 x 574 field at 0.13 um/px stretched to 416 x 416; smallest at stride 16.
ANCHORS_PX: tuple[tuple[float, float], ...] = ((27, 35), (38, 48), (46, 62), (55, 70), (66, 84), (90, 112))


class YoloV3Tiny(Detector):
    """Strides 16 and 32, three anchors each: 2,535 priors at 416; 8.7 million parameters for 15 classes."""

    def __init__(
        self,
        n_classes: int,
        network_width_px: int,
        network_height_px: int,
        anchors_px: Sequence[Sequence[float]] = ANCHORS_PX,
    ) -> None:
        super().__init__()
        if network_width_px % 32 or network_height_px % 32:
            raise ConfigError(
                f"the network size {network_width_px}x{network_height_px} is not a multiple of 32; YOLOv3 needs one."
            )
        self.n_classes = n_classes
        self.network_width_px, self.network_height_px = network_width_px, network_height_px
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
        per_prior = 3 * (5 + n_classes)
        self.coarse = nn.Sequential(ConvBlock(256, 512, 3), nn.Conv2d(512, per_prior, 1))
        self.lateral = nn.Sequential(ConvBlock(256, 128, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
        self.fine = nn.Sequential(ConvBlock(384, 256, 3), nn.Conv2d(256, per_prior, 1))
        anchors = [(float(w), float(h)) for w, h in anchors_px]
        self.heads = nn.ModuleList([YoloHead(16, anchors[:3], n_classes), YoloHead(32, anchors[3:], n_classes)])
        for branch in (self.coarse, self.fine):
            _start_quiet(branch[-1], n_classes)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3, h, w] -> [N, 3, h/16, w/16, 5 + C] and [N, 3, h/32, w/32, 5 + C], logits."""
        stride_16 = self.to_stride_16(images)
        stride_32 = self.to_stride_32(stride_16)
        coarse = self.coarse(stride_32)
        fine = self.fine(torch.cat((self.lateral(stride_32), stride_16), dim=1))
        return [head.split(x) for head, x in zip(self._heads(), (fine, coarse), strict=True)]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Detector.decode`; the score is objectness times class probability."""
        parts = [head.decode(x) for head, x in zip(self._heads(), raw, strict=True)]
        boxes = torch.cat([part[0] for part in parts], dim=1)
        scores = torch.cat([part[1].sigmoid() * part[2].sigmoid() for part in parts], dim=1)
        return boxes, scores

    def positives(self, targets: Sequence[Targets]) -> int:
        """See `Detector.positives`."""
        grids = [(self.network_height_px // h.stride_px, self.network_width_px // h.stride_px) for h in self._heads()]
        return sum(len(assign(self._heads(), grids, target)[0]) for target in targets)

    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """See `yolo_loss`."""
        return yolo_loss(self._heads(), raw, targets)

    def _heads(self) -> list[YoloHead]:
        return [head for head in self.heads if isinstance(head, YoloHead)]


def _start_quiet(layer: nn.Module, n_classes: int) -> None:
    """Bias objectness so that an untrained prior says 1 %: almost all priors are background, and the first steps would
    otherwise only unlearn the rest (Lin et al. 2017, section 3.3)."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    nn.init.normal_(layer.weight, std=0.01)
    with torch.no_grad():
        layer.bias.zero_()
        layer.bias.view(3, 5 + n_classes)[:, 4] = -4.6
