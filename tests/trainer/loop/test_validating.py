"""Validations during a training: what they measure and keep, and that a training that stopped goes on as if it had not."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.small_trainer import Lab

from trainer.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.data.datasets import load_datasets
from trainer.data.faults import STRICT
from trainer.data.held_back import HeldBack, load_held_back
from trainer.evaluation.detect import Measurer, results_of
from trainer.evaluation.summarise import summarise
from trainer.evaluation.target import checkpoint_target
from trainer.evaluation.validation_loss import targets_of
from trainer.export.graph import FrameGraph
from trainer.loop import training_run, validating
from trainer.loop.best_so_far import BestSoFar, ValidationFigures
from trainer.loop.training_loop import Outcome, train
from trainer.loop.validating import reconciled
from trainer.loop.validation import Validated, Validator
from trainer.recipe import Recipe, load_recipe

pytestmark = pytest.mark.timeout(120)

EVERY_TWO = {"validation.every_steps": 2, "checkpoint_every_steps": 100}


@pytest.fixture(scope="module")
def validator(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    rows = load_datasets(lab.description, lab.root)
    held = load_held_back(rows, {"train"}, None, (0.13, 192, 160), tmp_path_factory.mktemp("held"), lab.root, STRICT)
    assert isinstance(held, HeldBack)
    return Validator(held)


def recipe_of(lab: Lab, **more: object) -> Recipe:
    return load_recipe(str(lab.recipe), {**EVERY_TWO, **{key.replace("__", "."): value for key, value in more.items()}})


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


def validations(folder: Path) -> list[tuple[int, dict[str, Any]]]:
    return [(row["step"], row["validation"]) for row in lines(folder) if "validation" in row]


@pytest.fixture(scope="module")
def whole(
    lab: Lab, sets: list[TrainingSet], validator: Validator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("validated")
    return folder, train(recipe_of(lab), sets, folder, {}, validator=validator)


def assert_ended_alike(folder: Path, other: Path) -> None:
    """Weights, best weights, what is known of them, and every line of the losses."""
    for name in ("last.pt", "best.pt"):
        one, two = load_checkpoint(folder / name), load_checkpoint(other / name)
        assert one.step == two.step and one.best_so_far == two.best_so_far
        assert all(torch.equal(one.ema[key], two.ema[key]) for key in two.ema)
        assert all(torch.equal(one.model[key], two.model[key]) for key in two.model)
    assert lines(folder) == lines(other)


def test_it_measures_what_an_evaluation_of_the_checkpoint_measures(whole: tuple[Path, Outcome], validator: Validator) -> None:
    folder, outcome = whole
    assert [step for step, _ in validations(folder)] == [2, 4, 6]
    _, last = validations(folder)[-1]
    figures = summarise(list(results_of(checkpoint_target(outcome.checkpoint), validator.held_back.rows)), 0.3)
    assert (last["images"], last["wbc_ap"], last["map"]) == (2, figures.wbc.ap, figures.map)
    assert last["loss"] == pytest.approx(sum(last["terms"].values())) and set(last["terms"]) == {"box", "objectness", "class"}


def test_it_changes_nothing_of_what_is_learned(
    lab: Lab, sets: list[TrainingSet], whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    folder, outcome = whole
    without = train(recipe_of(lab), sets, tmp_path, {})
    assert all(torch.equal(value, without.checkpoint.model[name]) for name, value in outcome.checkpoint.model.items())
    assert [row for row in lines(folder) if "validation" not in row] == lines(tmp_path)
    assert not (tmp_path / "best.pt").exists()


def test_the_loss_is_that_of_training_on_the_same_pixels(lab: Lab, whole: tuple[Path, Outcome], validator: Validator) -> None:
    """By hand: the images as the graph stretches them, their cells stretched alike."""
    detector = whole[1].checkpoint.detector()
    graph = FrameGraph(detector, 4)
    total, positives = 0.0, 0
    with Measurer(checkpoint_target(whole[1].checkpoint)) as measurer:
        for row in validator.held_back.rows:
            plan = measurer.plan(row)
            frames = torch.zeros((plan.n_tiles, plan.engine_height_px, plan.engine_width_px, 3), dtype=torch.uint8)
            plan.write(validator.held_back.image(row), list(frames.numpy()))
            targets = [targets_of(row, plan, tile, (96, 96)) for tile in range(plan.n_tiles)]
            with torch.inference_mode():
                total += sum(float(value) for value in detector.loss(detector(graph.images(frames)), targets).values())
            positives += detector.positives(targets)
            assert plan.n_tiles > 1, "the frames are larger than the field: tiles, too, are put together rightly"
    _, last = validations(whole[0])[-1]
    fields = sum(measurer.plan(row).n_tiles for row in validator.held_back.rows)
    assert last["loss"] == pytest.approx(total / max(positives, fields), rel=1e-3)


@pytest.mark.parametrize(
    "at", [pytest.param((0, 5), id="before-any-checkpoint"), pytest.param((1, 3), id="between-validations")]
)
def test_a_training_that_lost_power_ends_with_the_same_best_weights(
    lab: Lab,
    sets: list[TrainingSet],
    validator: Validator,
    whole: tuple[Path, Outcome],
    tmp_path: Path,
    at: tuple[int, int],
) -> None:
    recipe = recipe_of(lab)

    class Lost(TrainingSet):
        def __init__(self, inner: TrainingSet, at: int) -> None:
            self.inner, self.at = inner, at

        def sample(self, index: int) -> Any:  # noqa: ANN401
            if index == self.at:
                raise KeyboardInterrupt
            return self.inner.sample(index)

    broken = [Lost(one, at[1]) if number == at[0] else one for number, one in enumerate(sets)]
    with pytest.raises(KeyboardInterrupt):
        train(recipe, broken, tmp_path, {}, validator=validator)
    half = load_checkpoint(tmp_path / "last.pt") if (tmp_path / "last.pt").exists() else None
    train(recipe, sets, tmp_path, {}, resume=half, validator=validator)
    assert_ended_alike(tmp_path, whole[0])


def test_a_signal_during_a_validation_leaves_it_for_the_training_that_goes_on(
    lab: Lab,
    sets: list[TrainingSet],
    validator: Validator,
    whole: tuple[Path, Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, original = recipe_of(lab), HeldBack.image

    def asked(self: HeldBack, row: Any) -> Any:  # noqa: ANN401
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self, row)

    with monkeypatch.context() as patch:
        patch.setattr(HeldBack, "image", asked)
        stopped = train(recipe, sets, tmp_path, {}, validator=validator)
    assert not stopped.finished and stopped.checkpoint.step == 2 and validations(tmp_path) == []
    train(recipe, sets, tmp_path, {}, resume=load_checkpoint(tmp_path / "last.pt"), validator=validator)
    assert_ended_alike(tmp_path, whole[0])


def test_a_stop_at_the_last_step_is_not_the_end_before_its_validation(
    lab: Lab, sets: list[TrainingSet], validator: Validator, whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    class Asks(TrainingSet):
        def __init__(self, inner: TrainingSet) -> None:
            self.inner = inner

        def sample(self, index: int) -> Any:  # noqa: ANN401
            if index == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            return self.inner.sample(index)

    stopped = train(recipe_of(lab), [sets[0], Asks(sets[1])], tmp_path, {}, validator=validator)
    assert stopped.checkpoint.step == 6 and not stopped.finished
    done = train(recipe_of(lab), sets, tmp_path, {}, resume=load_checkpoint(tmp_path / "last.pt"), validator=validator)
    assert done.finished and done.loss == []
    assert_ended_alike(tmp_path, whole[0])


def scripted(monkeypatch: pytest.MonkeyPatch, maps: list[float]) -> None:
    """Validations that find these means over types, one after another, and no error."""
    found: Iterator[float] = iter(maps)

    def told(*given: Any) -> Validated:  # noqa: ANN401
        figures = ValidationFigures(step=given[4], images=2, wbc_ap=0.9, map=next(found), loss=1.0, terms={"box": 1.0})
        return Validated(figures, [])

    monkeypatch.setattr(validating, "validate", told)


@pytest.mark.parametrize(
    ("maps", "patience", "best", "last", "ended_early"),
    [
        pytest.param([0.5, 0.7, 0.6], None, 4, 6, False, id="the-best-is-in-the-middle"),
        pytest.param([0.7, 0.6, 0.5], 1, 2, 4, True, id="patience-ends-it"),
        pytest.param([0.5, 0.7, 0.6], 1, 4, 6, False, id="ended-by-its-last-step-all-the-same"),
    ],
)
def test_the_best_weights_are_kept_and_patience_ends_the_training(
    lab: Lab,
    sets: list[TrainingSet],
    validator: Validator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    maps: list[float],
    patience: int | None,
    best: int,
    last: int,
    ended_early: bool,
) -> None:
    scripted(monkeypatch, maps)
    recipe = recipe_of(lab, validation__patience=patience)
    outcome = train(recipe, sets, tmp_path, {"validated_on": validator.held_back.about()}, validator=validator)
    chosen, newest = load_checkpoint(tmp_path / "best.pt"), load_checkpoint(tmp_path / "last.pt")
    assert (chosen.step, newest.step, newest.ended_early, outcome.finished) == (best, last, ended_early, True)
    assert chosen.data["chosen"]["after_step"] == best and chosen.data["chosen"]["map"] == max(maps)
    assert "stopped_after_step" not in chosen.history and "stopped_after_step" not in newest.history
    assert newest.history.get("ended_early_after_step") == (last if ended_early else None)
    rows = validator.held_back.rows
    for checkpoint, said in ((chosen, "chosen by"), (newest, "taken at their last step by" if ended_early else "")):
        known = replace(checkpoint, data={**checkpoint.data, "train_images": ""})
        caution = checkpoint_target(known).caution([row.path for row in rows], "given", ("test",))
        assert (f"{said} validations on 2 of these 2 images" in caution) if said else not caution


def checkpoint_with(folder: Path, whole: Path, step: int | None) -> BestSoFar:
    """A folder whose best.pt is of `step`, or is not there; what last.pt knows is that the best was step 4."""
    best = load_checkpoint(whole / "best.pt")
    if step is not None:
        save_checkpoint(folder / "best.pt", replace(best, step=step))
    shown = ValidationFigures(step=4, images=2, wbc_ap=0.5, map=0.5, loss=1.0, terms={})
    return BestSoFar(step=4, validations=2, best=shown, last=shown)


@pytest.mark.parametrize(
    ("step", "known", "says"),
    [
        pytest.param(4, True, "", id="as-left"),
        pytest.param(6, False, "", id="killed-after-the-best-before-the-checkpoint"),
        pytest.param(None, False, "chosen anew from here on: checkpoint", id="removed"),
    ],
)
def test_a_best_that_is_not_there_any_more_is_not_waited_for(
    whole: tuple[Path, Outcome], tmp_path: Path, step: int | None, known: bool, says: str
) -> None:
    so_far = checkpoint_with(tmp_path, whole[0], step)
    found, words = reconciled(so_far, tmp_path)
    assert (found.best is not None) == known and found.step == 4 and says in words and bool(says) == bool(words)


def test_a_training_that_keeps_no_best_only_looks(
    lab: Lab, sets: list[TrainingSet], validator: Validator, tmp_path: Path
) -> None:
    train(
        recipe_of(lab, phases=[{"steps": 1, "batch_size": 2}]),
        sets[1:],
        tmp_path,
        {},
        validator=replace(validator, keeps_best=False),
    )
    assert [step for step, _ in validations(tmp_path)] == [1] and not (tmp_path / "best.pt").exists()


def test_a_checkpoint_of_before_knows_of_no_validation(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    content = torch.load(whole[0] / "last.pt", weights_only=True)
    del content["best_so_far"], content["recipe"]["validation"]
    torch.save(content, tmp_path / "old.pt")
    old: Checkpoint = load_checkpoint(tmp_path / "old.pt")
    assert old.finished and old.best_so_far == {} and old.recipe.validation.every_steps == 200


@pytest.mark.parametrize(
    ("images", "change", "keeps", "says"),
    [
        pytest.param(2, {}, True, "", id="as-before"),
        pytest.param(1, {}, False, "other images are validated on than before", id="fewer-images"),
        pytest.param(
            2, {"best_by": "loss"}, False, "`validation.best_by` is another than before", id="chosen-by-another-figure"
        ),
        pytest.param(2, {"every_steps": 3}, True, "", id="looked-at-less-often"),
    ],
)
def test_a_training_that_goes_on_otherwise_forgets_what_no_longer_compares(
    lab: Lab,
    validator: Validator,
    whole: tuple[Path, Outcome],
    images: int,
    change: dict[str, object],
    keeps: bool,
    says: str,
) -> None:
    folder, outcome = whole
    about = validator.held_back.about()
    previous = replace(outcome.checkpoint, data={**outcome.checkpoint.data, "validated_on": about})
    recipe = recipe_of(lab, **{f"validation__{key}": value for key, value in change.items()})
    fewer = replace(validator, held_back=replace(validator.held_back, rows=validator.held_back.rows[:images]))
    found, words = training_run._taken_up(previous, recipe, folder, fewer)
    assert found is not None and (found.best_so_far["best"] is not None) == keeps
    assert says in words and bool(words) == bool(says) and found.best_so_far["step"] == 6
