"""The mean over an image and its mirror images: it is the same for each of them, and only YOLO's heads have it."""

from pathlib import Path

import pytest
import torch
from support.small_model import Model
from support.small_trainer import RECIPE

from edge.contracts.errors import ConfigError
from trainer.evaluation.mirrored import Mirrored
from trainer.evaluation.target import target_of
from trainer.export.graph import FrameGraph
from trainer.models.catalogue import build_detector
from trainer.recipe import Recipe


@pytest.mark.parametrize("dims", [(2,), (3,), (2, 3)], ids=["upside-down", "left-to-right", "both"])
def test_a_mirrored_image_gives_mirrored_boxes(dims: tuple[int, ...]) -> None:
    detector = Recipe.model_validate(RECIPE).detector().eval()
    with torch.no_grad():
        detector.get_submodule("head.1").weight.normal_(0, 1.0, generator=torch.Generator().manual_seed(1))
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    mean = Mirrored(detector)
    with torch.no_grad():
        boxes, scores = mean.decode(mean(images))
        turned, turned_scores = mean.decode(mean(images.flip(dims)))
        alone, _ = detector.decode(detector(images))
    assert (boxes - alone).abs().max() > 0.01, "one look alone is another thing"
    x1, y1, x2, y2 = turned.unbind(-1)
    if 3 in dims:
        x1, x2 = 96 - x2, 96 - x1
    if 2 in dims:
        y1, y2 = 96 - y2, 96 - y1
    # [N, anchors, rows, columns]: the same prior lies on the other side of the grid.
    back = torch.stack((x1, y1, x2, y2), -1).view(2, 3, 6, 6, 4).flip(dims).reshape(boxes.shape)
    torch.testing.assert_close(back, boxes, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(turned_scores.view(2, 3, 6, 6, -1).flip(dims).reshape(scores.shape), scores)


def test_it_is_folded_and_measured_as_any_detector() -> None:
    detector = Recipe.model_validate(RECIPE).detector()
    graph = FrameGraph(Mirrored(detector), 8)
    with torch.no_grad():
        boxes, _, _ = graph(torch.full((1, 80, 96, 3), 128, dtype=torch.uint8))
    assert boxes.shape == (1, 8, 4)
    assert not [module for module in graph.modules() if isinstance(module, torch.nn.BatchNorm2d)]


def test_networks_without_such_maps_are_refused(model: Model, tmp_path: Path) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="Ssd300 has none"):
        Mirrored(build_detector("ssd300", 15, (300, 300), {}, 0))
    with pytest.raises(ConfigError, match="--mirrored needs a checkpoint"):
        target_of(model.bundle, mirrored=True)
