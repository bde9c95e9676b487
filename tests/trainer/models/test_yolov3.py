"""YOLOv3: it is the reference's network in shapes, size and priors. No number is computed that the shapes do not need."""

import pytest
import torch

from leukostream.edge.contracts.errors import ConfigError
from leukostream.trainer.models.layers import ConvBlock
from leukostream.trainer.models.yolov3 import ANCHORS_PX, YoloV3


def darknet_values(module: torch.nn.Module) -> int:
    """How many numbers a Darknet file holds for `module`: all weights and the statistics of the normalisation."""
    return sum(value.numel() for name, value in module.state_dict().items() if not name.endswith("num_batches_tracked"))


@pytest.mark.parametrize(("size", "priors"), [(320, 6300), (416, 10647), (608, 22743)])
def test_heads_and_priors_at_the_reference_sizes(size: int, priors: int) -> None:
    with torch.device("meta"):
        model = YoloV3(15, size, size).eval()
        raw = model(torch.zeros(2, 3, size, size))
        boxes, scores = model.decode(raw)
    assert [tuple(x.shape) for x in raw] == [(2, 3, size // s, size // s, 20) for s in (8, 16, 32)]
    assert tuple(boxes.shape) == (2, priors, 4) and tuple(scores.shape) == (2, priors, 15)
    assert [branch[-1].out_channels for branch in (model.coarse, model.middle, model.fine)] == [60, 60, 60]


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
