"""Every network of the reference at its full size: the exported graph says what torch says, prior by prior."""

import numpy as np
import pytest
from support.agreement import agreement
from support.smears import smear
from support.yolo_cases import spread

from trainer.export.graph import store_weights_as_half, to_onnx
from trainer.models.catalogue import build_detector
from trainer.models.detector import Detector

WIDTH_PX, HEIGHT_PX = 732, 574
CELLS = ((150, 140, 45), (500, 300, 55), (690, 520, 50))


def untrained(architecture: str, network_size: tuple[int, int], seed: int) -> Detector:
    return build_detector(architecture, 15, network_size, {}, seed).eval()


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("architecture", "size"),
    [("ssd300", 300), ("ssd512", 512), ("yolov3", 320), ("yolov3", 416), ("yolov3", 608), ("yolov3-tiny", 416)],
)
def test_the_exported_graph_agrees_with_torch(architecture: str, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    made = spread if architecture.startswith("yolo") else untrained
    detector = made(architecture, (size, size), seed=3)
    exported = store_weights_as_half(to_onnx(detector, 256, WIDTH_PX, HEIGHT_PX))
    found = agreement(detector, exported, np.stack([smear(WIDTH_PX, HEIGHT_PX, CELLS, seed) for seed in (0, 1)]))
    # In single precision the place of a pixel near the far border is known to 6e-5 of a pixel, whoever stretches the image. 75
    # layers make several times as much of what that changes; from the same stretched image on the two hardly differ.
    assert found.pixel < 1e-4 and found.score < 1e-4 and found.box < 2e-4, found
    assert found.own_score < 2e-5 and found.own_box < 5e-5, found
    with capsys.disabled():
        print(f"\n{architecture}-{size}: " + ", ".join(f"{name} {value:.1e}" for name, value in found._asdict().items()))
