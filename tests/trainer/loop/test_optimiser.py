"""Learning rates and the parameters that decay."""

import itertools

import pytest
import torch
from support.small_trainer import RECIPE

from trainer.loop.optimiser import AdamW, Sgd, Steps, build_optimiser, learning_rate
from trainer.recipe import Recipe


def test_the_learning_rate_warms_up_peaks_and_decays() -> None:
    settings = AdamW(peak_learning_rate=1.0, warm_up_steps=10, final_fraction=0.1)
    rates = [learning_rate(step, 110, settings) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.55) and rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        pytest.param(0.1, {0: 0.5, 3: 1.0, 19: 1.0, 20: 0.1, 39: 0.1, 40: 0.01}, id="one-gamma"),
        pytest.param([0.5, 0.1], {20: 0.5, 40: 0.05, 99: 0.05}, id="scale-per-step"),
    ],
)
def test_steps_multiply_the_rate_from_the_step_they_name(scales: object, expected: dict[int, float]) -> None:
    schedule = Steps.model_validate({"at": [20, 40], "scales": scales})
    settings = Sgd(name="sgd", peak_learning_rate=1.0, warm_up_steps=2, schedule=schedule)
    assert {step: learning_rate(step, 100, settings) for step in expected} == pytest.approx(expected)


def test_only_kernels_decay() -> None:
    model = Recipe.model_validate(RECIPE).detector()
    optimiser = build_optimiser(model, Sgd(name="sgd", momentum=0.8, weight_decay=0.01))
    assert isinstance(optimiser, torch.optim.SGD)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert all(decay[id(p)] == (0.01 if p.dim() == 4 else 0.0) for p in model.parameters())
    assert all(group["momentum"] == 0.8 for group in optimiser.param_groups)
