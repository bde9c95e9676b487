"""Reading the learned tensors of a Caffe model file.

A .caffemodel is a protocol buffer (NetParameter of Caffe's caffe.proto). Of its hundreds of fields only those that lead to a
layer's blobs matter, so the wire format is walked directly; that also tells how many bytes a file that was cut short lacks.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge.contracts.detections import Float32
from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole

# Field numbers in caffe.proto: a net's layers, new and old form, with the fields of their name and their blobs.
_LAYERS = {100: (1, 7), 2: (4, 6)}
_BLOB_DATA, _BLOB_SHAPE, _SHAPE_DIM = 5, 7, 1
_OLD_SHAPE = (1, 2, 3, 4)  # num, channels, height, width

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class _NotAMessageError(Exception):
    """The bytes follow no wire format."""


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """Weights and biases by `layer.weight` and `layer.bias`, float32; biases have one dimension.

    Raises `DataError` for a file that cannot be read, is cut short (with the number of missing bytes) or no Caffe model.
    """
    try:
        content = memoryview(read_whole(path))
    except OSError as problem:
        raise DataError(f"the weights {path} cannot be read ({problem.strerror}); give the path of a VGG16 file.") from problem
    tensors: dict[str, Tensor] = {}
    try:
        for number, layer in _fields(content, path):
            if number in _LAYERS and isinstance(layer, memoryview):
                name, blobs = _layer(layer, _LAYERS[number], path)
                for part, blob in zip(("weight", "bias"), blobs, strict=False):
                    tensors[f"{name}.{part}"] = blob.flatten() if part == "bias" else blob
    except (_NotAMessageError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} is no Caffe model; give a .caffemodel file.") from problem
    if not tensors:
        raise DataError(f"{path} holds no layer with weights; give a .caffemodel file of a trained network.")
    return tensors


def _layer(layer: memoryview, numbers: tuple[int, int], path: Path) -> tuple[str, list[Tensor]]:
    name, blobs = "", []
    for number, value in _fields(layer, path):
        if isinstance(value, memoryview) and number == numbers[0]:
            name = str(value, "utf-8")
        elif isinstance(value, memoryview) and number == numbers[1]:
            blobs.append(value)
    return name, [_blob(blob, name, path) for blob in blobs]


def _blob(blob: memoryview, layer: str, path: Path) -> Tensor:
    old, shape = [0, 0, 0, 0], list[int]()
    data: Float32 = np.zeros(0, np.float32)
    for number, value in _fields(blob, path):
        if number in _OLD_SHAPE and isinstance(value, int):
            old[number - 1] = value
        elif number == _BLOB_SHAPE and isinstance(value, memoryview):
            shape = _dims(value, path)
        elif number == _BLOB_DATA and isinstance(value, memoryview) and not len(value) % 4:
            data = np.frombuffer(value, "<f4")
    shape = shape or old
    if int(np.prod(shape)) != len(data):
        raise DataError(
            f"{path}: the layer {layer} says it is {'x'.join(map(str, shape))} but holds {len(data)} values; fetch it again."
        )
    return torch.from_numpy(data.astype(np.float32)).reshape(shape)


def _dims(shape: memoryview, path: Path) -> list[int]:
    """Packed or one by one: writers of both kinds exist."""
    dims: list[int] = []
    for number, value in _fields(shape, path):
        if number == _SHAPE_DIM and isinstance(value, int):
            dims.append(value)
        elif number == _SHAPE_DIM and isinstance(value, memoryview):
            at = 0
            while at < len(value):
                dim, at = _varint(value, at)
                dims.append(dim)
    return dims


def _fields(message: memoryview, path: Path) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of a message; a value of known length is a view on its bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _LENGTH:
            length, at = _varint(message, at)
        elif kind in {_EIGHT_BYTES, _FOUR_BYTES}:
            length = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise _NotAMessageError
        if not number:
            raise _NotAMessageError
        if at + length > len(message):
            raise DataError(
                f"{path} is cut short or no Caffe model: {at + length - len(message)} bytes are missing; fetch it again."
            )
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Base 128, low part first: (value, position behind it)."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise _NotAMessageError
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise _NotAMessageError
