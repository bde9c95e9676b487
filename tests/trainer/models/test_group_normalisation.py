"""Normalisation over groups of an image's channels: each image by itself, nothing folded, and refused where it cannot go."""

from pathlib import Path

import pytest
import torch
from support.small_trainer import RECIPE
from torch import nn

from edge.contracts.errors import ConfigError
from trainer.export.export_bundle import export_random
from trainer.models.catalogue import build_detector
from trainer.models.layers import fuse
from trainer.recipe import Recipe, load_recipe
from trainer.weights.darknet_layout import darknet_sections

BY_GROUPS = {**RECIPE, "options": {"normalisation": "group"}}


def test_an_image_is_computed_alike_whatever_else_is_in_the_batch() -> None:
    detector = Recipe.model_validate(BY_GROUPS).detector().train()
    assert not [layer for layer in detector.modules() if isinstance(layer, nn.BatchNorm2d)]
    x = torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(detector(x[:1])[0], detector(x)[0][:1])
        before = detector.eval()(x)[0]
        fuse(detector)
        torch.testing.assert_close(detector(x)[0], before)
    assert len([layer for layer in detector.modules() if isinstance(layer, nn.GroupNorm)]) == 4


@pytest.mark.parametrize(
    "changes", [{"init": {"format": "darknet"}}, {"statistics": "fixed"}], ids=["darknet-s-statistics", "kept-statistics"]
)
def test_what_is_about_statistics_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="group has no statistics"):
        load_recipe("yolov3-tiny-416", {"init": None, "options.normalisation": "group", **changes})


def test_neither_darknet_nor_a_bundle_takes_it(tmp_path: Path) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="Darknet normalises over batches only"):
        darknet_sections(build_detector("yolov3-tiny", 15, (416, 416), {"normalisation": "group"}, 0))
    for changes in (BY_GROUPS, {**RECIPE, "colours": "moved"}):
        with pytest.raises(ConfigError, match="train with `"):
            export_random(Recipe.model_validate(changes), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
