"""Starting SSD's trunk from pretrained VGG16 weights, in whichever of the files in use they lie."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from edge.contracts.errors import ConfigError, DataError
from trainer.models.detector import Detector
from trainer.models.ssd import Normalisation, Ssd
from trainer.models.vgg16 import CONVOLUTIONS
from trainer.weights.caffemodel import read_caffemodel

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


def load_vgg16(detector: Detector, path: Path) -> list[str]:
    """Set the trunk of an SSD, in place, from one of three files; returns the names of the tensors that were set.

    - torchvision's VGG16 state dict: fc6 and fc7 become convolutions, subsampled as Liu et al. 2016 have them;
    - the fc-reduced state dict `vgg16_reducedfc.pth`, numbered 0 to 33;
    - the fc-reduced `VGG_ILSVRC_16_layers_fc_reduced.caffemodel` that Liu et al. and the reference started from.

    Raises `DataError` when the file is missing, cut short, of another kind, or a tensor is missing, of another shape or not
    finite (then nothing was set), and `ConfigError` when the detector has no VGG16 trunk or normalises its input otherwise than
    the weights want it.
    """
    if not isinstance(detector, Ssd):
        raise ConfigError("VGG16 weights only fit ssd300 and ssd512; remove them from the recipe or choose one of these.")
    if not path.is_file():
        raise DataError(f"the weights {path} do not exist; give the path of a VGG16 file.")
    if path.suffix == ".caffemodel":
        tensors, layout = read_caffemodel(path), CAFFE
    else:
        tensors = _read_torch(path)
        layout = _layout(tensors, path)
    wanted = {name: _take(path, tensors, layout, name) for name in layout.sources}
    if detector.options.normalisation != layout.normalisation:
        raise ConfigError(
            f"{path} is {layout.title}, trained with another normalisation than the recipe's; "
            f"set `options.normalisation` to {layout.normalisation}."
        )
    trunk = detector.trunk.layers.state_dict()
    for name, value in wanted.items():
        trunk[name].copy_(value)
    return [f"trunk.layers.{name}" for name in wanted]


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else "it ends too early"
        raise DataError(
            f"{path} ({path.stat().st_size} bytes) is cut short or no file of tensors written by torch: {reason}"
        ) from problem
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} is no state dict of tensors by name; save the network's `state_dict()` alone.")
    return {str(key): value for key, value in content.items()}


def _layout(tensors: dict[str, Tensor], path: Path) -> Layout:
    for layout in (TORCHVISION, REDUCED_TORCH):
        if layout.sources["conv1_1.weight"].key in tensors:
            return layout
    first = ", ".join(sorted(tensors)[:3]) or "nothing"
    raise DataError(
        f"{path} is no VGG16: it holds {first}, where `features.0.weight` (torchvision) or `0.weight` (fc-reduced) is expected."
    )


def _take(path: Path, tensors: dict[str, Tensor], layout: Layout, name: str) -> Tensor:
    source = layout.sources[name]
    if source.key not in tensors:
        raise DataError(f"{path} has no tensor {source.key}, so it is not {layout.title}; give another file.")
    found = tensors[source.key]
    if tuple(found.shape) != source.shape:
        raise DataError(
            f"{path}: {source.key} is {_sides(found.shape)} where {layout.title} has {_sides(source.shape)}; give another file."
        )
    value = source.convert(found).float()
    if not torch.isfinite(value).all():
        raise DataError(f"{path}: {source.key} holds values that are no numbers; give a file with all layers up to fc7.")
    return value


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)
