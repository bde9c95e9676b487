"""The self-describing graph: raw camera frames in, boxes out; pre-processing, decoding and selection inside.

frames  uint8   [N, H, W, 3]  BGR
boxes   float32 [N, K, 4]     x1 y1 x2 y2 in pixels of that frame
scores  float32 [N, K]        descending
labels  int32   [N, K]

Its large weights can be stored as FP16; its arithmetic stays FP32.
"""

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from edge.contracts.errors import DataError
from trainer.models.detector import Detector
from trainer.models.layers import fuse

OPSET = 18


class FrameGraph(nn.Module):
    """Wraps a detector, its normalisations folded, as the graph that every engine runs."""

    def __init__(self, detector: Detector, top_k: int) -> None:
        super().__init__()
        self.detector = copy.deepcopy(detector).eval()
        fuse(self.detector)
        self.top_k = top_k
        self.eval()

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the module's docstring."""
        boxes, scores = self.detector.decode(self.detector(self.images(frames)))
        # Scaled after the choice: of the chosen boxes only.
        chosen, values, labels = self.rows(boxes, scores)
        return chosen * self.scale_of(frames, chosen), values, labels

    def rows(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best pairs of a prior and a class, of boxes [N, P, 4] and scores [N, P, C], as K rows each: see the outputs."""
        top = torch.topk(scores.flatten(1), self.top_k, dim=1)
        n_classes = self.detector.n_classes
        prior = torch.div(top.indices, n_classes, rounding_mode="floor")
        chosen = torch.gather(boxes, 1, prior.unsqueeze(-1).expand(-1, -1, 4))
        return chosen, top.values, (top.indices - prior * n_classes).to(torch.int32)

    def scale_of(self, frames: Tensor, like: Tensor) -> Tensor:
        """What turns x1 y1 x2 y2 in network pixels into pixels of the frame: [4]."""
        scale_x = frames.shape[2] / self.detector.network_width_px
        scale_y = frames.shape[1] / self.detector.network_height_px
        return torch.stack([_as_tensor(s, like) for s in (scale_x, scale_y, scale_x, scale_y)])

    def images(self, frames: Tensor) -> Tensor:
        """Frames, uint8 BGR [N, H, W, 3], stretched to what the detector takes: float32 RGB in 0..1 [N, 3, h, w]."""
        return self.stretched(pixels_of(frames))

    def stretched(self, pixels: Tensor) -> Tensor:
        """RGB in 0..1 [N, 3, H, W] at the detector's size."""
        size = (self.detector.network_height_px, self.detector.network_width_px)
        return functional.interpolate(pixels, size=size, mode="bilinear", align_corners=False)


def pixels_of(frames: Tensor) -> Tensor:
    """Frames, uint8 BGR [N, H, W, 3], as float32 RGB in 0..1 [N, 3, H, W]."""
    # Cast before permuting: TensorRT refuses to transpose uint8.
    return frames.to(torch.float32).permute(0, 3, 1, 2).flip(1) / 255.0


def _as_tensor(value: float, like: Tensor) -> Tensor:
    return torch.ones((), dtype=like.dtype) * value


@contextmanager
def _its_own_affairs() -> Iterator[None]:
    """The exporter warns of what it will change in itself, and of packages that it could use and nothing here does."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (FutureWarning, DeprecationWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        registry.setLevel(level)


def to_onnx(detector: Detector, top_k: int, frame_width_px: int, frame_height_px: int) -> onnx.ModelProto:
    """Export a detector alone."""
    return graph_to_onnx(FrameGraph(detector, top_k), frame_width_px, frame_height_px)


def graph_to_onnx(graph: FrameGraph, frame_width_px: int, frame_height_px: int) -> onnx.ModelProto:
    """Export with N, H and W symbolic. The frame size only sizes the tracing example."""
    # A batch of two: with one, the exporter would freeze the batch dimension.
    example = torch.zeros((2, frame_height_px, frame_width_px, 3), dtype=torch.uint8)
    dims = {0: torch.export.Dim("N", min=1, max=64), 1: torch.export.Dim("H", min=32), 2: torch.export.Dim("W", min=32)}
    # Nothing is trained here, and tracing for gradients takes the exporter a tenth more.
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), _its_own_affairs():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            graph,
            (example,),
            path,
            input_names=["frames"],
            output_names=["boxes", "scores", "labels"],
            dynamic_shapes={"frames": dims},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return onnx.load(path)


SMALLEST_STORED = 1024
"""Smaller ones stay FP32: they cost nothing and may be sensitive."""


def store_weights_as_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace the weights of each convolution by FP16 ones and a Cast to FP32.

    Nothing else is touched: default boxes are as large a tensor, and half precision would move them by a tenth of a pixel.

    Raises `DataError` naming the tensor when a value lies beyond FP16's range.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    weights = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    casts = []
    for tensor in graph.initializer:
        if tensor.name not in weights or tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_STORED:
            continue
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float16)
        if not np.isfinite(values).all():
            raise DataError(f"weights {tensor.name} exceed FP16's range (65504); the training has diverged, train anew.")
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}_to_fp32", to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
    onnx.checker.check_model(result, full_check=True)
    return result
