"""One step: a batch in parts is the batch, a gradient that stays infinite ends it, and the average follows the weights."""

import copy

import pytest
import torch
from support.small_trainer import RECIPE

from trainer.data.compose.training_set import TrainingSet
from trainer.loop import optimiser_step
from trainer.loop.batches import Part, batches
from trainer.loop.optimiser_step import NotFinite, Stepper, move_average
from trainer.loop.ranks import Ranks
from trainer.models.detector import Detector
from trainer.recipe import Recipe


def a_recipe(subdivisions: int) -> Recipe:
    return Recipe.model_validate({**RECIPE, "phases": [{"steps": 1, "batch_size": 8, "subdivisions": subdivisions}]})


def stepper(model: Detector, clip_norm: float | None = None, scaled: bool = False) -> Stepper:
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=scaled)
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


def test_a_gradient_that_stays_infinite_ends_a_training_with_a_scaled_loss(
    sets: list[TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimiser_step, "MAX_SKIPPED", 4)
    model, factor = a_recipe(1).detector().eval(), torch.tensor(torch.inf)
    next(model.parameters()).register_hook(lambda gradient: gradient * factor)
    one, batch = stepper(model, scaled=True), parts(sets, 8)[:2]
    for _ in range(3):
        one.step(batch)
    assert one.scaler.get_scale() == 2.0**13
    factor.fill_(1.0)
    one.step(batch)
    # From here on the count begins anew.
    factor.fill_(torch.inf)
    before = copy.deepcopy(model.state_dict())
    for _ in range(3):
        one.step(batch)
    with pytest.raises(NotFinite, match=r"the gradient is no longer finite since 4 steps \(losses: ") as caught:
        one.step(batch)
    assert [part.samples for part in caught.value.parts] == [part.samples for part in batch], "all parts are to blame"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "decay",
    [
        pytest.param(0.0, id="without-memory-it-is-the-model"),
        pytest.param(0.75, id="a-quarter-of-the-way"),
        pytest.param(1.0, id="with-memory-only-it-stays"),
    ],
)
def test_an_average_goes_the_way_that_the_decay_leaves(decay: float) -> None:
    model, average = a_recipe(1).detector(), Recipe.model_validate({**RECIPE, "seed": 6}).detector()
    for buffer in model.buffers():
        buffer.add_(2)
    before = copy.deepcopy(average.state_dict())
    move_average(average, model, decay)
    for name, value in model.state_dict().items():
        moved = decay * before[name] + (1 - decay) * value if value.dtype.is_floating_point else value
        torch.testing.assert_close(average.state_dict()[name], moved, rtol=1e-6, atol=1e-7)
