"""Darknet's .weights files, read into YOLOv3 and YOLOv3-tiny and written from them.

A file is a header and then, convolution by convolution in the order of the cfg, float32 little-endian: bias, and where there
is normalisation its scale, mean and variance, then the kernel [out, in, h, w]. The header is major, minor, revision (int32)
and how many images the training has seen: 64 bits from version 0.2 on, 32 before (`load_weights_upto` of Darknet's parser.c).
"""

import re
import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge.contracts.errors import DataError, first_line
from edge.contracts.whole_file import read_whole
from trainer.models.detector import Detector
from trainer.models.yolo_detector import ANCHORS_PER_HEAD
from trainer.weights.darknet_layout import Convolution, darknet_sections

Named = list[tuple[str, Tensor]]
"""The tensors of one convolution in the order of the file."""


def load_darknet(detector: Detector, path: Path) -> list[str]:
    """Set the weights of `detector` from `path`; returns the names of the tensors that were set (as in its `state_dict`).

    A partial file (darknet53.conv.74, yolov3-tiny.conv.15) holds the convolutions of the first sections, as many as its name
    says: those are set. A whole file made for another number of classes sets all but the last convolution of each head, whose
    size depends on it. Anything else raises `DataError`, and then nothing was changed; so do values that no trained network
    has. Raises `ConfigError` for a detector that Darknet does not have.
    """
    layers = _convolutions(detector)
    values = _read(path)
    sizes = [[tensor.numel() for _, tensor in layer] for layer in layers]
    ends = list(accumulate(map(sum, sizes)))
    skipped: set[int] = set()
    if len(values) in ends:
        _check_partial(path, detector, 1 + ends.index(len(values)), len(ends))
    else:
        skipped = _fit_other_classes(layers, sizes, len(values))
        if not skipped:
            raise DataError(_misfit(path, detector, layers, ends, len(values)))
    chosen: list[tuple[str, Tensor, NDArray[np.float32]]] = []
    at = 0
    for number, (layer, layer_sizes) in enumerate(zip(layers, sizes, strict=True)):
        if at == len(values):
            break
        for (name, tensor), size in zip(layer, layer_sizes, strict=True):
            part = values[at : at + size]
            if not np.isfinite(part).all() or (name.endswith("running_var") and part.min() < 0):
                raise DataError(f"{path} has impossible values for {name}; it is damaged or was made for another network.")
            if number not in skipped:
                chosen.append((name, tensor, part))
            at += size
    with torch.no_grad():
        for _, tensor, part in chosen:
            tensor.copy_(torch.from_numpy(part.copy()).view(tensor.shape))
    return [name for name, _, _ in chosen]


def write_darknet(detector: Detector, path: Path) -> None:
    """Write the weights of `detector` (version 0.2.0, nothing seen); `darknet_cfg` gives the network that goes with them.

    Readers add different constants to a variance: we and Darknet on a GPU 1e-5, OpenCV 1e-6, and Darknet on a CPU 1e-6 to its
    root. Where a channel's variance is small they answer visibly differently, the more the deeper the network.
    Raises `DataError` when the file cannot be written and `ConfigError` for a detector that Darknet does not have.
    """
    parts = [tensor for layer in _convolutions(detector) for _, tensor in layer]
    try:
        with path.open("wb") as file:
            file.write(struct.pack("<iiiQ", 0, 2, 0, 0))
            for tensor in parts:
                file.write(tensor.detach().cpu().contiguous().numpy().astype("<f4").tobytes())
    except OSError as problem:
        raise DataError(
            f"Darknet weights {path} could not be written ({first_line(problem)}); free the disk or choose another folder."
        ) from problem


def _convolutions(detector: Detector) -> list[Named]:
    """Name and tensor of all that Darknet stores, one list a convolution."""
    names = {module: name for name, module in detector.named_modules()}
    return [_tensors(names[s.layer], s.layer) for s in darknet_sections(detector) if s.layer is not None]


def _tensors(name: str, layer: Convolution) -> Named:
    if isinstance(layer, nn.Conv2d):
        assert layer.bias is not None
        return [(f"{name}.bias", layer.bias), (f"{name}.weight", layer.weight)]
    norm = layer.norm
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    return [
        (f"{name}.norm.bias", norm.bias),
        (f"{name}.norm.weight", norm.weight),
        (f"{name}.norm.running_mean", norm.running_mean),
        (f"{name}.norm.running_var", norm.running_var),
        (f"{name}.conv.weight", layer.conv.weight),
    ]


def _read(path: Path) -> NDArray[np.float32]:
    """All values after the header."""
    try:
        content = read_whole(path)
    except OSError as problem:
        raise DataError(f"Darknet weights {path} cannot be read ({problem.strerror}); give the path of the file.") from problem
    if len(content) < 16:
        raise DataError(f"{path} has {len(content)} bytes, less than the header of a Darknet file; download it again.")
    major, minor, revision = struct.unpack("<iii", content[:12])
    if not (0 <= major <= 1000 and 0 <= minor <= 1000 and revision >= 0):
        raise DataError(f"{path} is no Darknet file: its header says version {major}.{minor}.{revision}; is it another format?")
    header = 20 if major * 10 + minor >= 2 else 16
    if (len(content) - header) % 4 or len(content) <= header:
        raise DataError(
            f"{path} has {len(content)} bytes: no whole number of values after the header of {header}; download it again."
        )
    return np.frombuffer(content, "<f4", offset=header).astype(np.float32, copy=False)


def _check_partial(path: Path, detector: Detector, held: int, convolutions: int) -> None:
    """A download that broke off between two convolutions looks like a partial file; only the name tells them apart."""
    named = re.search(r"\.conv\.(\d+)$", path.name)
    sections = darknet_sections(detector)
    meant = sum(s.layer is not None for s in sections[: int(named[1])]) if named else convolutions
    if held != meant:
        raise DataError(
            f"{path} holds the first {held} convolutions of {type(detector).__name__}, where its name stands for {meant}; "
            "it is cut off, or a partial file under another name than Darknet's, which ends in .conv.N for N sections."
        )


def _fit_other_classes(layers: Sequence[Named], sizes: list[list[int]], n_values: int) -> set[int]:
    """Where the file is a whole network of another number of classes: resize the last convolutions of the heads in `sizes`
    and return their numbers. Otherwise nothing."""
    last = {number for number, layer in enumerate(layers) if len(layer) == 2}
    inputs = {number: layers[number][1][1].shape[1] for number in last}
    others = sum(sum(size) for number, size in enumerate(sizes) if number not in last)
    channels, rest = divmod(n_values - others, sum(inputs[number] + 1 for number in last))
    if rest or channels % ANCHORS_PER_HEAD or channels < ANCHORS_PER_HEAD * 6:
        return set()
    for number in last:
        sizes[number] = [channels, channels * inputs[number]]
    return last


def _misfit(path: Path, detector: Detector, layers: Sequence[Named], ends: list[int], n_values: int) -> str:
    network = f"{type(detector).__name__} with {detector.n_classes} classes"
    if n_values > ends[-1]:
        return (
            f"{path} holds {n_values - ends[-1]} values more than the {len(ends)} convolutions of {network} take, "
            "and fits no other number of classes; it is cut off or was made for another network."
        )
    number = next(k for k, end in enumerate(ends) if end > n_values)
    size = ends[number] - (ends[number - 1] if number else 0)
    return (
        f"{path} ends within convolution {number + 1} of {len(ends)} of {network} ({layers[number][-1][0]}): "
        f"{ends[number] - n_values} of its {size} values are missing; it is cut off or was made for another network."
    )
