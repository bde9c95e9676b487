"""When a training looks at what it held back, which weights it keeps, and when it stops waiting for better ones."""

import pytest

from edge.contracts.errors import ConfigError
from trainer.loop.best_so_far import BestBy, BestSoFar, ValidationFigures, ValidationSettings
from trainer.overrides import parse_assignment
from trainer.recipe import load_recipe

Shown = tuple[float | None, float | None, float]
"""AP of any leukocyte, mean over types, loss."""


def figures(step: int, shown: Shown) -> ValidationFigures:
    wbc_ap, mean, loss = shown
    return ValidationFigures(step=step, images=3, wbc_ap=wbc_ap, map=mean, loss=loss, terms={"box": loss})


def after(each: list[Shown], settings: ValidationSettings) -> BestSoFar:
    so_far = BestSoFar()
    for number, shown in enumerate(each, 1):
        so_far = so_far.after(figures(10 * number, shown), settings)
    return so_far


@pytest.mark.parametrize(
    ("by", "each", "best"),
    [
        pytest.param("map", [(0.9, 0.2, 1.0), (0.8, 0.3, 2.0), (0.95, 0.1, 0.5)], 20, id="the-mean-over-types"),
        pytest.param("wbc_ap", [(0.9, 0.2, 1.0), (0.8, 0.3, 2.0), (0.95, 0.1, 0.5)], 30, id="any-leukocyte"),
        pytest.param("loss", [(0.9, 0.2, 1.0), (0.8, 0.3, 2.0), (0.95, 0.1, 1.5)], 10, id="the-loss-less-is-better"),
        pytest.param("map", [(0.0, 0.0, 9.0), (0.0, 0.0, 5.0), (0.0, 0.0, 7.0)], 20, id="nothing-found-yet-the-loss-tells"),
        pytest.param("map", [(1.0, 1.0, 2.0), (1.0, 1.0, 2.0)], 10, id="of-equals-the-first"),
        pytest.param("map", [(0.6, None, 2.0), (0.7, None, 3.0)], 20, id="no-cell-has-a-type"),
        pytest.param("map", [(None, None, 2.0), (None, None, 3.0)], 10, id="no-leukocyte-at-all"),
    ],
)
def test_the_best_is_by_what_the_recipe_says(by: BestBy, each: list[Shown], best: int) -> None:
    found = after(each, ValidationSettings(best_by=by)).best
    assert found is not None and found.step == best


@pytest.mark.parametrize(
    ("patience", "maps", "ended"),
    [
        pytest.param(None, [0.5, 0.4, 0.3, 0.2, 0.1], False, id="never-unless-asked"),
        pytest.param(2, [0.5, 0.4], False, id="one-without"),
        pytest.param(2, [0.5, 0.4, 0.45], True, id="better-than-the-one-before-is-not-better-than-the-best"),
        pytest.param(2, [0.5, 0.4, 0.6, 0.5], False, id="a-better-one-begins-anew"),
        pytest.param(1, [0.5], False, id="the-first-is-the-best"),
    ],
)
def test_patience_counts_validations_since_the_best(patience: int | None, maps: list[float], ended: bool) -> None:
    assert after([(0.9, value, 1.0) for value in maps], ValidationSettings(patience=patience)).ended is ended


def test_more_patience_goes_on_and_less_ends() -> None:
    so_far = after([(0.9, value, 1.0) for value in (0.5, 0.4, 0.3)], ValidationSettings(patience=2))
    assert so_far.ended and not so_far.under(ValidationSettings(patience=3)).ended
    assert not so_far.under(ValidationSettings()).ended
    assert so_far.forgotten().under(ValidationSettings(patience=1)).best is None


@pytest.mark.parametrize(
    ("done", "step", "every", "due"),
    [
        pytest.param(0, 0, 10, False, id="nothing-is-trained-yet"),
        pytest.param(0, 9, 10, False, id="before"),
        pytest.param(0, 10, 10, True, id="now"),
        pytest.param(10, 10, 10, False, id="done-before-a-stop"),
        pytest.param(10, 25, 10, True, id="after-the-last-step"),
        pytest.param(10, 25, 0, False, id="never"),
    ],
)
def test_when_a_validation_is_due(done: int, step: int, every: int, due: bool) -> None:
    assert BestSoFar(step=done).is_due(step, 25, ValidationSettings(every_steps=every)) is due


def test_patience_without_validations_is_refused() -> None:
    changes = dict(map(parse_assignment, ("validation.patience=3", "validation.every_steps=0")))
    with pytest.raises(ConfigError, match="`patience` counts validations"):
        load_recipe("shipped", changes)


def test_the_reference_s_recipes_have_no_patience() -> None:
    for name in ("yolov3-416", "ssd300-smin0.1", "shipped", "adapt"):
        assert load_recipe(name).validation.patience is None
