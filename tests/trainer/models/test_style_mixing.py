"""Styles are mixed between the images of a batch while a network trains, and never else."""

import pytest
import torch
from support.small_trainer import RECIPE

from edge.contracts.errors import ConfigError
from trainer.loop.ranks import Ranks
from trainer.loop.training_state import TrainingState
from trainer.models.style_mixing import StyleMixing, mix_styles, mixed
from trainer.recipe import Recipe, load_recipe

STATISTICS = {"dim": (2, 3), "keepdim": True, "correction": 0}


def images(n: int = 6) -> torch.Tensor:
    """[n, 4, 12, 10], each with a brightness and a contrast of its own."""
    generator = torch.Generator().manual_seed(3)
    own = torch.arange(1, n + 1).view(n, 1, 1, 1)
    return torch.randn(n, 4, 12, 10, generator=generator) * own + 10 * own


def test_content_stays_and_style_is_between_two_images() -> None:
    torch.manual_seed(0)
    before = images()
    after = mixed(before, concentration=1.0)
    old_deviation, old_mean = torch.std_mean(before, **STATISTICS)
    deviation, mean = torch.std_mean(after, **STATISTICS)
    torch.testing.assert_close((after - mean) / deviation, (before - old_mean) / old_deviation, atol=1e-4, rtol=1e-3)
    assert (mean - old_mean).abs().max() > 0.5
    assert (mean >= old_mean.amin(dim=0) - 1e-3).all() and (mean <= old_mean.amax(dim=0) + 1e-3).all()


def test_half_precision_stays_half() -> None:
    assert mixed(images().bfloat16(), 0.1).dtype == torch.bfloat16
    assert mixed(torch.zeros(2, 3, 4, 4), 0.1).isfinite().all(), "an image of one value has no deviation"


def test_only_a_network_that_trains_mixes() -> None:
    recipe = Recipe.model_validate({**RECIPE, "style_mixing": {"share": 1.0, "blocks": 2}})
    training = TrainingState(recipe, {}, Ranks(torch.device("cpu")))
    plain = TrainingState(Recipe.model_validate(RECIPE), {}, Ranks(torch.device("cpu")))
    assert training.model.state_dict().keys() == plain.model.state_dict().keys()
    x = torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 5).view(4, 1, 1, 1)

    def out(state: TrainingState, trains: bool) -> torch.Tensor:
        torch.manual_seed(7)
        with torch.no_grad():
            return state.model.train(trains)(x)[0]

    assert torch.equal(out(training, False), out(plain, False))
    assert not torch.equal(out(training, True), out(plain, True))
    assert torch.equal(out(training, True), out(training, True)), "what is drawn follows from the seed"
    with torch.no_grad():
        assert torch.equal(training.average(x)[0], plain.average(x)[0])


def test_a_share_of_none_mixes_none() -> None:
    model, other = Recipe.model_validate(RECIPE).detector().train(), Recipe.model_validate(RECIPE).detector().train()
    mix_styles(model, StyleMixing(share=0.0))
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(model(x)[0], other(x)[0])


def test_ssd_has_no_such_blocks() -> None:
    with pytest.raises(ConfigError, match="`style_mixing` is for networks of Darknet's blocks"):
        load_recipe("ssd300-smin0.2", {"style_mixing": {"share": 0.5}})
