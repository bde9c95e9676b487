"""SSD300 and SSD512 on VGG16 (Liu et al. 2016, ECCV): in the reference the more exact, slower detector (Wang et al. 2019)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from edge.contracts.base import Strict
from edge.contracts.errors import ConfigError
from trainer.models.default_boxes import decode, default_boxes
from trainer.models.detector import Detector, Targets, validated
from trainer.models.ssd_loss import match, ssd_loss
from trainer.models.vgg16 import Vgg16

Normalisation = Literal["imagenet", "caffe"]

# Mean and standard deviation of R, G, B in 0..1 that a trunk's pretrained weights were trained with.
NORMALISATIONS: dict[Normalisation, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "caffe": ((123 / 255, 117 / 255, 104 / 255), (1 / 255, 1 / 255, 1 / 255)),
}


class SsdOptions(Strict):
    """The key `options` of a recipe."""

    s_min: float = Field(0.2, gt=0, description="scale of fc7's default boxes; the reference compares 0.1 and 0.2")
    s_max: float = Field(0.9, le=1, description="scale of the last map's default boxes")
    normalisation: Normalisation = Field(
        "imagenet", description="mean and deviation, for torchvision's weights; or 0..255 less the mean, for Caffe's"
    )


def read_options(options: Mapping[str, object]) -> SsdOptions:
    """Validate `options`. Raises `ConfigError` for an unknown key or a value out of range."""
    read = validated(SsdOptions, options)
    if read.s_min >= read.s_max:
        raise ConfigError(f"`options.s_min` {read.s_min:g} is not below `options.s_max` {read.s_max:g}; correct the recipe.")
    return read


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


class Ssd(Detector):
    """What the two sizes share; `options` are those of `SsdOptions`."""

    size_px: ClassVar[int]
    stages: ClassVar[tuple[Stage, ...]]
    grids: ClassVar[tuple[int, ...]]
    ratios: ClassVar[tuple[tuple[float, ...], ...]]

    priors: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, n_classes: int, network_width_px: int, network_height_px: int, **options: object) -> None:
        super().__init__()
        size = self.size_px
        if (network_width_px, network_height_px) != (size, size):
            raise ConfigError(
                f"SSD{size} cannot be {network_width_px}x{network_height_px}; set the network size to {size}x{size}."
            )
        self.options = read_options(options)
        self.n_classes = n_classes
        self.network_width_px, self.network_height_px = size, size
        self.trunk = Vgg16()
        self.norm4_3 = L2Norm(512, 20.0)
        widths = (512, 1024, *(stage.channels for stage in self.stages))
        self.added = nn.ModuleDict({s.name: added(w, s) for w, s in zip(widths[1:-1], self.stages, strict=True)})
        places = [2 + 2 * len(ratios) for ratios in self.ratios]
        self.locations = nn.ModuleList(head(w, boxes * 4) for w, boxes in zip(widths, places, strict=True))
        self.classes = nn.ModuleList(head(w, boxes * (1 + n_classes)) for w, boxes in zip(widths, places, strict=True))
        mean, deviation = NORMALISATIONS[self.options.normalisation]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(1, 3, 1, 1), persistent=False)
        # Random weights presume input of unit variance; from Caffe's grey levels the first logits would be huge.
        self.trunk.first.weight.data *= self.deviation / torch.tensor(NORMALISATIONS["imagenet"][1]).view(1, 3, 1, 1)
        boxes = default_boxes(self.grids, self.ratios, self.options.s_min, self.options.s_max, size)
        self.register_buffer("priors", boxes, persistent=False)

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """[N, 3, h, w] RGB 0..1 -> conv4_3 (normalised), fc7 and the added maps, [N, C, side, side] each."""
        conv4_3, x = self.trunk((images - self.mean) / self.deviation)
        maps = [self.norm4_3(conv4_3), x]
        for stage in self.added.values():
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3, h, w] -> offsets [N, P, 4] and logits [N, P, 1 + C], background first.

        Raises `ConfigError` for images of another size: the default boxes belong to one.
        """
        height, width = images.shape[2], images.shape[3]
        if (width, height) != (self.size_px, self.size_px):
            raise ConfigError(
                f"SSD{self.size_px} got images of {width}x{height}; its default boxes only fit {self.size_px}x{self.size_px}, "
                "so train it on whole fields (`field_fraction` 1)."
            )
        maps = self.feature_maps(images)
        offsets = [per_prior(layer(x), 4) for layer, x in zip(self.locations, maps, strict=True)]
        logits = [per_prior(layer(x), 1 + self.n_classes) for layer, x in zip(self.classes, maps, strict=True)]
        return [torch.cat(offsets, dim=1), torch.cat(logits, dim=1)]

    def decode(self, raw: list[Tensor]) -> tuple[Tensor, Tensor]:
        """See `Detector.decode`; the score is the softmax over background and classes, background dropped."""
        offsets, logits = raw
        return decode(offsets.float(), self.priors), logits.float().softmax(dim=2)[:, :, 1:]

    def positives(self, targets: Sequence[Targets]) -> int:
        """See `Detector.positives`."""
        return sum(len(match(self.priors, target, self.size_px).prior) for target in targets)

    def loss(self, raw: list[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """See `ssd_loss`."""
        return ssd_loss(self.priors, raw[0], raw[1], targets, self.size_px)


class Ssd300(Ssd):
    """8,732 default boxes on six maps; 25.6 million parameters for 15 classes."""

    size_px = 300
    stages = (
        Stage("conv6", 256, 512, 3, 2, 1),
        Stage("conv7", 128, 256, 3, 2, 1),
        Stage("conv8", 128, 256, 3, 1, 0),
        Stage("conv9", 128, 256, 3, 1, 0),
    )
    grids = (38, 19, 10, 5, 3, 1)
    ratios = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))


class Ssd512(Ssd):
    """24,564 default boxes on seven maps; 26.5 million parameters. The last kernel is 4x4, as the map is 2x2."""

    size_px = 512
    stages = (
        Stage("conv6", 256, 512, 3, 2, 1),
        Stage("conv7", 128, 256, 3, 2, 1),
        Stage("conv8", 128, 256, 3, 2, 1),
        Stage("conv9", 128, 256, 3, 2, 1),
        Stage("conv10", 128, 256, 4, 1, 1),
    )
    grids = (64, 32, 16, 8, 4, 2, 1)
    ratios = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))
