"""YOLOv3-tiny: shapes, size, decoding and options."""

import math
import re

import pytest
import torch

from edge.contracts.errors import ConfigError
from trainer.models.catalogue import build_detector
from trainer.models.layers import SamePool, fuse
from trainer.models.yolo_head import YoloHead


def test_it_is_the_reference_model_in_heads_priors_and_parameters() -> None:
    model = build_detector("yolov3-tiny", 15, (416, 416), {}, seed=0).eval()
    raw = model(torch.zeros(1, 3, 416, 416))
    assert [tuple(x.shape) for x in raw] == [(1, 3, 26, 26, 20), (1, 3, 13, 13, 20)]
    boxes, scores = model.decode(raw)
    assert boxes.shape == (1, 2535, 4) and scores.shape == (1, 2535, 15)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 8.7


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not() -> None:
    first, again, other = (build_detector("yolov3-tiny", 15, (416, 416), {}, seed).state_dict() for seed in (1, 1, 2))
    name = "to_stride_16.0.conv.weight"
    assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="yolov3-tiny"):
        build_detector("yolov9", 15, (416, 416), {}, 0)


def test_folding_the_normalisation_changes_nothing() -> None:
    model = build_detector("yolov3-tiny", 15, (416, 416), {}, seed=0)
    model(torch.rand(2, 3, 96, 96))  # moves the running statistics off their start
    model.eval()
    images = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        before = model(images)
        fuse(model)
        after = model(images)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_same_pool_is_darknets_pool_that_ignores_what_lies_outside() -> None:
    x = torch.randn(1, 2, 5, 7) - 10  # all negative: a zero pad would win
    padded = torch.nn.functional.pad(x, (0, 1, 0, 1), value=-math.inf)
    torch.testing.assert_close(SamePool()(x), torch.nn.functional.max_pool2d(padded, 2, 1))


def test_a_zero_logit_decodes_to_the_middle_of_its_cell_with_the_anchor_as_size() -> None:
    head = YoloHead(16, [(20.0, 30.0), (40.0, 40.0), (60.0, 50.0)], n_classes=2)
    boxes, _, _ = head.decode(torch.zeros(1, 3, 2, 4, 7))
    prior = (1 * 2 + 1) * 4 + 3  # second anchor, row 1, column 3
    assert boxes[0, prior].tolist() == [3.5 * 16 - 20, 1.5 * 16 - 20, 3.5 * 16 + 20, 1.5 * 16 + 20]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param({"box_los": "giou"}, "`box_los` is not a known key", id="a-misspelt-option"),
        pytest.param({"box_loss": "l1"}, "`box_loss`: input should be 'squared' or 'giou'", id="a-loss-that-is-not"),
        pytest.param({"also_positive_iou": 1.5}, "also_positive_iou", id="an-overlap-over-1"),
        pytest.param({"anchors_px": [[20, 20]] * 9}, "has 9 anchors where the network needs 6", id="anchors-of-the-other-yolo"),
        pytest.param({"anchors_px": [[20, 0]] * 6}, "anchors_px", id="an-anchor-without-height"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        build_detector("yolov3-tiny", 15, (96, 96), options, 0)


def test_default_anchors_follow_the_networks_size_and_given_ones_do_not() -> None:
    given = [[20.0, 20.0]] * 6
    for size, options, first in (
        ((416, 416), {}, [27, 35]),
        ((832, 416), {}, [54, 35]),
        ((96, 96), {"anchors_px": given}, [20, 20]),
    ):
        assert build_detector("yolov3-tiny", 15, size, options, 0).heads[0].anchors[0].tolist() == first
