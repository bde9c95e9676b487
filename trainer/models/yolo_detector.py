"""What YOLOv3 and its tiny form share: heads, decoding, positives and loss."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edge.contracts.errors import ConfigError
from trainer.models.detector import Detector, Targets
from trainer.models.yolo_head import YoloHead, read_options, scaled_anchors
from trainer.models.yolo_loss import assign, yolo_loss

ANCHORS_PER_HEAD = 3


class YoloDetector(Detector):
    """A subclass adds the layers; its `forward` gives one map per stride, finest first, split by that head."""

    def __init__(
        self,
        n_classes: int,
        network_width_px: int,
        network_height_px: int,
        strides_px: Sequence[int],
        anchors_px: Sequence[tuple[float, float]],
        options: Mapping[str, Any],
    ) -> None:
        """`anchors_px` are the defaults, written for a network of 416 px, smallest first.

        Raises `ConfigError` for a size that is no multiple of 32 and for unusable `options`.
        """
        super().__init__()
        if network_width_px % 32 or network_height_px % 32:
            raise ConfigError(
                f"the network size {network_width_px}x{network_height_px} is not a multiple of 32; YOLOv3 needs one."
            )
        self.n_classes = n_classes
        self.network_width_px, self.network_height_px = network_width_px, network_height_px
        self.options = read_options(options, len(anchors_px))
        anchors = self.options.anchors_px or scaled_anchors(anchors_px, network_width_px, network_height_px)
        groups = [anchors[k : k + ANCHORS_PER_HEAD] for k in range(0, len(anchors), ANCHORS_PER_HEAD)]
        self.heads = nn.ModuleList(YoloHead(stride, group, n_classes) for stride, group in zip(strides_px, groups, strict=True))

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Detector.decode`; the score is objectness times class probability."""
        parts = [head.decode(x) for head, x in zip(self.yolo_heads(), raw, strict=True)]
        boxes = torch.cat([part[0] for part in parts], dim=1)
        scores = torch.cat([part[1].sigmoid() * part[2].sigmoid() for part in parts], dim=1)
        return boxes, scores

    def positives(self, targets: Sequence[Targets]) -> int:
        """See `Detector.positives`."""
        heads = self.yolo_heads()
        grids = [(self.network_height_px // h.stride_px, self.network_width_px // h.stride_px) for h in heads]
        return len(assign(heads, grids, targets, self.options.also_positive_iou).prior)

    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """See `yolo_loss`."""
        return yolo_loss(self.yolo_heads(), raw, targets, self.options)

    def yolo_heads(self) -> list[YoloHead]:
        """Finest stride first."""
        return [head for head in self.heads if isinstance(head, YoloHead)]

    def split(self, *maps: Tensor) -> list[Tensor]:
        """Maps [N, 3 * (5 + C), h, w], finest first, to the logits of their priors."""
        return [head.split(x) for head, x in zip(self.yolo_heads(), maps, strict=True)]


def output_layer(channels_in: int, n_classes: int) -> nn.Conv2d:
    """The last convolution of a head."""
    return nn.Conv2d(channels_in, ANCHORS_PER_HEAD * (5 + n_classes), 1)


def start_quiet(layer: nn.Module) -> None:
    """Bias an output layer's objectness so that an untrained prior says 1 %: almost all priors are background, and the first
    steps would otherwise only unlearn the rest (Lin et al. 2017, section 3.3)."""
    assert isinstance(layer, nn.Conv2d) and layer.bias is not None
    nn.init.normal_(layer.weight, std=0.01)
    with torch.no_grad():
        layer.bias.zero_()
        layer.bias.view(ANCHORS_PER_HEAD, -1)[:, 4] = -4.6
