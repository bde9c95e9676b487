"""Starting SSD's trunk from pretrained VGG16 weights."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from edge.contracts.errors import ConfigError, DataError
from trainer.models.detector import Detector
from trainer.models.ssd import Ssd
from trainer.weights.caffemodel import read_caffemodel
from trainer.weights.vgg16_layouts import CAFFE, REDUCED_TORCH, TORCHVISION, Layout


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
