"""An exported graph beside the detector it came from: all priors row by row, then the choice of the best of them.

Rows whose scores differ by less than rounding may swap places in the choice; priors never do.
"""

from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.export.graph import SMALLEST_STORED, FrameGraph
from trainer.models.detector import Detector

Frames = NDArray[np.uint8]
Array = NDArray[np.float32]


class Decoded(NamedTuple):
    """Boxes [N, P, 4] in network pixels and scores [N, P, C] of all priors."""

    boxes: Array
    scores: Array


class Agreement(NamedTuple):
    """Greatest differences over all priors between the exported graph and torch.

    `score` and `box` (as a share of the box's longer side) are from the same frames on; `own_score` and `own_box` from the same
    stretched images on, where only the network and its decoding differ; `pixel` is how far those images differ, in 0..1.
    """

    score: float
    box: float
    own_score: float
    own_box: float
    pixel: float


def run(model: onnx.ModelProto, frames: Frames, outputs: tuple[str, ...] = ("boxes", "scores", "labels")) -> list[Array]:
    """What ONNX Runtime answers. On one core: its waiting threads would spin against torch's."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    return list(session.run(outputs, {"frames": frames}))


def agreement(detector: Detector, exported: onnx.ModelProto, frames: Frames) -> Agreement:
    """Compare `exported`, whose weights are stored as FP16, with `detector` in the same form: folded, then rounded.

    Asserts that scores differ from prior to prior, so that there is something to compare, and that what the graph chooses are
    rows of what it decoded: the best, in falling order, in pixels of the frame.
    """
    found, images = _decoded(exported, frames)
    graph = FrameGraph(detector, 1)
    with torch.no_grad():
        for layer in graph.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.weight.numel() >= SMALLEST_STORED:
                layer.weight.copy_(layer.weight.half())
        own_images = graph.images(torch.from_numpy(frames))
        from_frames, from_images = (_answer(graph.detector, x) for x in (own_images, torch.from_numpy(images)))
    assert from_frames.scores.shape == found.scores.shape and from_frames.scores.std(axis=1).max() > 0.02
    return Agreement(
        *_difference(found, from_frames), *_difference(found, from_images), float(np.abs(images - own_images.numpy()).max())
    )


def _decoded(exported: onnx.ModelProto, frames: Frames) -> tuple[Decoded, Array]:
    """What the graph decodes before it chooses, and its stretched images."""
    whole = onnx.ModelProto()
    whole.CopyFrom(exported)
    (choice,) = (node.input[0] for node in whole.graph.node if node.op_type == "TopK")
    (pick,) = (node.input[0] for node in whole.graph.node if node.op_type == "GatherElements")
    stretched = next(node.output[0] for node in whole.graph.node if node.op_type == "Resize")
    inner = (pick, choice, stretched)
    whole.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in inner)
    boxes, scores, images, chosen_boxes, chosen_scores, labels = run(whole, frames, (*inner, "boxes", "scores", "labels"))
    scores = scores.reshape(*boxes.shape[:2], -1)
    best = -np.sort(-scores.reshape(len(frames), -1))[:, : chosen_scores.shape[1]]
    np.testing.assert_array_equal(chosen_scores, best)
    scale = np.array(frames.shape[2:0:-1]) / images.shape[3:1:-1]
    for n, row in np.ndindex(chosen_scores.shape):
        rows = boxes[n, scores[n, :, labels[n, row]] == chosen_scores[n, row]] * np.tile(scale, 2)
        assert np.isclose(rows, chosen_boxes[n, row], rtol=1e-5, atol=1e-3).all(axis=1).any()
    return Decoded(boxes, scores), images


def _answer(detector: Detector, images: Tensor) -> Decoded:
    boxes, scores = detector.decode(detector(images))
    return Decoded(boxes.numpy(), scores.numpy())


def _difference(a: Decoded, b: Decoded) -> tuple[float, float]:
    longer = (b.boxes[..., 2:] - b.boxes[..., :2]).max(axis=-1)
    return float(np.abs(a.scores - b.scores).max()), float((np.abs(a.boxes - b.boxes).max(axis=-1) / longer).max())
