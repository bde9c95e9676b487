"""Writes Caffe model files byte by byte, apart from the reader under test, and the matching description for OpenCV."""

import numpy as np
from numpy.typing import NDArray

_POOL_BEHIND = {"conv1_2", "conv2_2", "conv3_3", "conv4_3"}
_SIZES = {
    **dict.fromkeys(("conv1_1", "conv1_2"), 64),
    **dict.fromkeys(("conv2_1", "conv2_2"), 128),
    **dict.fromkeys(("conv3_1", "conv3_2", "conv3_3"), 256),
    **dict.fromkeys(("conv4_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"), 512),
}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _block(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _blob(values: NDArray[np.float32], old: bool) -> bytes:
    if old:
        dims = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(_number(k + 1, dim) for k, dim in enumerate(dims))
    else:
        shape = _block(7, _block(1, b"".join(_varint(dim) for dim in values.shape)))
    return _block(5, np.ascontiguousarray(values, "<f4").tobytes()) + shape


def caffemodel(tensors: dict[str, NDArray[np.float32]], old: bool) -> bytes:
    """A net of convolutions from `name.weight` and `name.bias`; `old` writes layers and blobs as Caffe did before 2015."""
    layers = []
    for name in dict.fromkeys(key.rsplit(".", 1)[0] for key in tensors):
        blobs = [_blob(tensors[f"{name}.{part}"], old) for part in ("weight", "bias")]
        if old:
            kind = _number(5, 4)  # type: CONVOLUTION
            layers.append(_block(2, _block(4, name.encode()) + kind + b"".join(_block(6, blob) for blob in blobs)))
        else:
            kind = _block(2, b"Convolution")
            layers.append(_block(100, _block(1, name.encode()) + kind + b"".join(_block(7, blob) for blob in blobs)))
    return _block(1, b"made by a test") + b"".join(layers)


def prototxt(height_px: int, width_px: int) -> bytes:
    """The fc-reduced VGG16 as Liu et al. 2016 describe it, written down apart from our trunk."""
    lines = [f'input: "data" input_dim: 1 input_dim: 3 input_dim: {height_px} input_dim: {width_px}']
    below = "data"

    def layer(name: str, kind: str, settings: str) -> None:
        nonlocal below
        lines.append(f'layer {{ name: "{name}" type: "{kind}" bottom: "{below}" top: "{name}" {settings} }}')
        below = name

    def convolution(name: str, settings: str) -> None:
        layer(f"{name}", "Convolution", f"convolution_param {{ {settings} }}")
        lines.append(f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}')

    for name, outputs in _SIZES.items():
        convolution(name, f"num_output: {outputs} kernel_size: 3 pad: 1")
        if name in _POOL_BEHIND:
            layer(f"pool_{name}", "Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")
    layer("pool5", "Pooling", "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }")
    convolution("fc6", "num_output: 1024 kernel_size: 3 pad: 6 dilation: 6")
    convolution("fc7", "num_output: 1024 kernel_size: 1")
    return "\n".join(lines).encode()
