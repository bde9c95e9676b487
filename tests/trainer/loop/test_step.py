"""One step: a batch in parts is the batch, and the average follows the weights."""

import copy

import pytest
import torch
from support.small_trainer import RECIPE

from leukostream.trainer.data.training_set import TrainingSet
from leukostream.trainer.loop.batches import Part, batches
from leukostream.trainer.loop.ranks import Ranks
from leukostream.trainer.loop.step import Stepper, move_average
from leukostream.trainer.models.detector import Detector
from leukostream.trainer.recipe import Recipe


def a_recipe(subdivisions: int) -> Recipe:
    return Recipe.model_validate({**RECIPE, "phases": [{"steps": 1, "batch_size": 8, "subdivisions": subdivisions}]})


def stepper(model: Detector, clip_norm: float | None = None) -> Stepper:
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Stepper(model, model, optimiser, scaler, Ranks(torch.device("cpu")), clip_norm=clip_norm)


def parts(sets: list[TrainingSet], subdivisions: int) -> list[Part]:
    return next(iter(batches(a_recipe(subdivisions), sets[1:], 0))).parts


def test_a_batch_in_parts_gives_the_step_of_the_whole_batch(sets: list[TrainingSet]) -> None:
    # In inference mode, where parts do not differ by their normalisation: cells are many in one part and few in another.
    one = a_recipe(1).detector().eval()
    four = copy.deepcopy(one)
    whole, cut = stepper(one).step(parts(sets, 1)), stepper(four).step(parts(sets, 4))
    assert cut == pytest.approx(whole, rel=1e-5)
    for a, b in zip(one.parameters(), four.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_clipping_bounds_the_step(sets: list[TrainingSet]) -> None:
    model = a_recipe(1).detector().eval()
    before = copy.deepcopy(model)
    stepper(model, clip_norm=0.5).step(parts(sets, 1))
    moved = torch.cat([(a - b).flatten() for a, b in zip(model.parameters(), before.parameters(), strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(0.1 * 0.5, rel=1e-3)


def test_an_average_without_memory_is_the_model() -> None:
    model, average = a_recipe(1).detector(), Recipe.model_validate({**RECIPE, "seed": 6}).detector()
    move_average(average, model, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True))
