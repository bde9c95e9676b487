"""YOLOv3: it is the reference's network in shapes, size and priors. No number is computed that the shapes do not need."""

import numpy as np
import pytest
import torch
from support.agreement import agreement
from support.yolo_cases import spread

from edge.contracts.errors import ConfigError
from trainer.export.graph import store_weights_as_half, to_onnx
from trainer.models import yolov3
from trainer.models.layers import ConvBlock
from trainer.models.yolov3 import ANCHORS_PX, YoloV3


def darknet_values(module: torch.nn.Module) -> int:
    """How many numbers a Darknet file holds for `module`: all weights and the statistics of the normalisation."""
    return sum(value.numel() for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked"))


@pytest.fixture(scope="module")
def shapes_only() -> YoloV3:
    with torch.device("meta"):
        return YoloV3(15, 416, 416).eval()


@pytest.mark.parametrize(("size", "priors"), [(320, 6300), (416, 10647), (608, 22743)])
def test_heads_and_priors_at_the_reference_sizes(shapes_only: YoloV3, size: int, priors: int) -> None:
    raw = shapes_only(torch.zeros(2, 3, size, size, device="meta"))
    boxes, scores = shapes_only.decode(raw)
    assert [tuple(x.shape) for x in raw] == [(2, 3, size // s, size // s, 20) for s in (8, 16, 32)]
    assert tuple(boxes.shape) == (2, priors, 4) and tuple(scores.shape) == (2, priors, 15)
    branches = (shapes_only.coarse, shapes_only.middle, shapes_only.fine)
    assert [branch[-1].out_channels for branch in branches] == [60, 60, 60]


def test_it_is_darknets_network_number_for_number() -> None:
    """yolov3.weights (80 classes) has 248,007,048 bytes and darknet53.conv.74 has 162,482,580, 20 of them the header."""
    with torch.device("meta"):
        model = YoloV3(80, 416, 416)
    assert darknet_values(model) * 4 + 20 == 248_007_048
    assert darknet_values(model.trunk) * 4 + 20 == 162_482_580
    assert sum(isinstance(module, ConvBlock) for module in model.trunk.modules()) == 52


def test_default_anchors_are_round_cells_of_6_to_21_um_in_equal_ratios() -> None:
    diameters_um = [6 * (21 / 6) ** (k / 8) for k in range(9)]
    sides = [(d / 0.13 * 416 / 732, d / 0.13 * 416 / 574) for d in diameters_um]
    for anchor, side in zip(ANCHORS_PX, sides, strict=True):
        assert anchor == pytest.approx(side, abs=0.6)


def test_a_size_that_is_no_multiple_of_32_is_refused() -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="300x300 is not a multiple of 32"):
        YoloV3(15, 300, 300)


def test_the_exported_graph_agrees_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    # One residual block in all: every kind of node at half of the exporter's cost. `make soak` does the whole network.
    stages = [(channels, int(number == 0)) for number, (channels, _) in enumerate(yolov3.STAGES)]
    monkeypatch.setattr(yolov3, "STAGES", tuple(stages))
    model = spread("yolov3", (64, 64), seed=3)
    frames = np.random.default_rng(0).integers(0, 256, (1, 80, 96, 3), dtype=np.uint8)
    found = agreement(model, store_weights_as_half(to_onnx(model, 32, 96, 80)), frames)
    assert found.score < 1e-4 and found.box < 1e-4, found
