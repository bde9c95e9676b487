"""Where each tensor of the VGG16 trunk lies in the files that are in use, and what it has to become."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from trainer.models.ssd_options import Normalisation
from trainer.models.vgg16 import CONVOLUTIONS

FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Positions of the 13 convolutions in a sequence that also counts ReLUs and pools; torchvision numbers them so."""


class Source(NamedTuple):
    """One tensor in a file: its key there, its shape there, and the change that fits it to the trunk."""

    key: str
    shape: tuple[int, ...]
    convert: Callable[[Tensor], Tensor]


class Layout(NamedTuple):
    """A kind of file, the input its weights were trained with, and a source for each tensor of the trunk."""

    title: str
    normalisation: Normalisation
    sources: dict[str, Source]


def as_it_is(x: Tensor) -> Tensor:
    """No change."""
    return x


def bgr_to_rgb(x: Tensor) -> Tensor:
    """Weights of a first layer for B, G, R [C, 3, k, k] -> the same for R, G, B."""
    return x.flip(1)


def decimate_fc6(x: Tensor) -> Tensor:
    """[4096, 512 * 7 * 7] -> [1024, 512, 3, 3]: every fourth output, every third position.

    The subsampling that Liu et al. 2016 (section 3) take from DeepLab (Chen et al. 2015, section 3.1).
    """
    return x.reshape(4096, 512, 7, 7)[::4, :, ::3, ::3]


def decimate_fc7(x: Tensor) -> Tensor:
    """[4096, 4096] -> [1024, 1024, 1, 1]: the outputs of fc6 that are left, and every fourth of its own."""
    return x[::4, ::4, None, None]


def every_fourth(x: Tensor) -> Tensor:
    """[4096] -> [1024]."""
    return x[::4]


def _reduced(prefixes: tuple[str, ...], first: Callable[[Tensor], Tensor]) -> dict[str, Source]:
    """Sources of a file whose fully connected layers are convolutions already; `prefixes` are its names of the 15 layers."""
    sources = {}
    for layer, prefix in zip(CONVOLUTIONS, prefixes, strict=True):
        shape = (layer.channels_out, layer.channels_in, layer.kernel, layer.kernel)
        convert = first if layer.name == "conv1_1" else as_it_is
        sources[f"{layer.name}.weight"] = Source(f"{prefix}.weight", shape, convert)
        sources[f"{layer.name}.bias"] = Source(f"{prefix}.bias", shape[:1], as_it_is)
    return sources


TORCHVISION = Layout(
    "torchvision's VGG16",
    "imagenet",
    {
        **_reduced((*(f"features.{k}" for k in FEATURES), "classifier.0", "classifier.3"), as_it_is),
        "fc6.weight": Source("classifier.0.weight", (4096, 512 * 7 * 7), decimate_fc6),
        "fc6.bias": Source("classifier.0.bias", (4096,), every_fourth),
        "fc7.weight": Source("classifier.3.weight", (4096, 4096), decimate_fc7),
        "fc7.bias": Source("classifier.3.bias", (4096,), every_fourth),
    },
)

# Numbered through: pool5 is 30. Its publisher and torchvision, which ships the same convolutions, both give it R, G, B.
REDUCED_TORCH = Layout("the fc-reduced VGG16", "caffe", _reduced(tuple(str(k) for k in (*FEATURES, 31, 33)), as_it_is))

CAFFE = Layout("Caffe's fc-reduced VGG16", "caffe", _reduced(tuple(layer.name for layer in CONVOLUTIONS), bgr_to_rgb))
