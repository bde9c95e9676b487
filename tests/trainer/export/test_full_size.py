"""Every network of the reference at its full size: the exported graph says what torch says, prior by prior."""

import pytest
import torch
from support.agreement import agreement, frames_of
from support.yolo_cases import spread

from leukostream.trainer.export.graph import to_onnx
from leukostream.trainer.export.half_weights import store_weights_as_half
from leukostream.trainer.models.catalogue import build_detector
from leukostream.trainer.models.detector import Detector

WIDTH_PX, HEIGHT_PX = 732, 574


def with_answers(architecture: str, size: int) -> Detector:
    """Random weights whose scores differ from place to place."""
    if architecture.startswith("yolo"):
        return spread(architecture, (size, size), seed=3)
    return build_detector(architecture, 15, (size, size), {}, seed=3).eval()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("architecture", "size"),
    [("ssd300", 300), ("ssd512", 512), ("yolov3", 320), ("yolov3", 416), ("yolov3", 608), ("yolov3-tiny", 416)],
)
def test_the_exported_graph_agrees_with_torch(architecture: str, size: int, record_property: pytest.fixture) -> None:
    detector = with_answers(architecture, size)
    exported = store_weights_as_half(to_onnx(detector, 256, WIDTH_PX, HEIGHT_PX))
    torch.set_num_threads(1)
    found = agreement(detector, exported, frames_of(2, HEIGHT_PX, WIDTH_PX))
    print(architecture, size, found)
    assert found.spread > 0.02
    assert found.score < 1e-4 and found.box_px < 1e-4 * WIDTH_PX
