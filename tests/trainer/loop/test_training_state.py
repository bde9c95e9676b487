"""The state of a training: the averaged weights follow closely at first, and the loss scale of a checkpoint goes on."""

import copy
from pathlib import Path

import pytest
import torch
from support.small_trainer import RECIPE

from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.loop.batches import batches
from trainer.loop.ranks import Ranks
from trainer.loop.training_state import TrainingState
from trainer.recipe import Recipe

ALONE = Ranks(torch.device("cpu"))


@pytest.mark.parametrize(
    ("step", "ema_decay", "decay"),
    [
        pytest.param(0, 0.998, 0.1, id="hardly-a-memory-after-the-first-step"),
        pytest.param(8, 0.998, 0.5, id="half-of-it-after-the-ninth"),
        pytest.param(8, 0.3, 0.3, id="no-longer-a-memory-than-the-recipe-s"),
        pytest.param(100_000, 0.998, 0.998, id="the-recipe-s-in-the-end"),
        pytest.param(100_000, 0.0, 0.0, id="none-where-the-recipe-has-none"),
    ],
)
def test_the_average_follows_the_weights_closely_at_first(step: int, ema_decay: float, decay: float) -> None:
    training = TrainingState(Recipe.model_validate({**RECIPE, "optimiser": {"ema_decay": ema_decay}}), {}, ALONE)
    training.step = step
    before = copy.deepcopy(training.average)
    with torch.no_grad():
        for weight in training.model.parameters():
            weight.add_(1.0)
    training.count_step()
    assert training.step == step + 1
    for old, new in zip(before.parameters(), training.average.parameters(), strict=True):
        torch.testing.assert_close(new - old, torch.full_like(old, 1 - decay), rtol=0, atol=1e-5)


def test_the_loss_scale_of_a_checkpoint_goes_on(
    sets: list[TrainingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # float16 trains on a GPU only, but its scaler works anywhere.
    scaler = torch.amp.GradScaler
    monkeypatch.setattr(torch.amp, "GradScaler", lambda device, enabled: scaler(device))
    recipe = Recipe.model_validate({**RECIPE, "phases": [{"steps": 5, "batch_size": 2}]})
    training = TrainingState(recipe, {}, ALONE)
    factor = torch.tensor(torch.inf)
    next(training.model.parameters()).register_hook(lambda gradient: gradient * factor)
    for number, batch in enumerate(batches(recipe, sets[1:], 0)):
        factor.fill_(torch.inf if number < 2 else 1.0)
        training.stepper.step(batch.parts)
        training.count_step()
    save_checkpoint(tmp_path / "last.pt", training.snapshot(1.0))
    resumed = TrainingState(recipe, {}, ALONE, resume=load_checkpoint(tmp_path / "last.pt")).stepper.scaler
    assert (resumed.get_scale(), resumed.state_dict()["_growth_tracker"]) == (2.0**14, 3), "two steps skipped, three done"
    assert resumed.state_dict() == training.stepper.scaler.state_dict()
