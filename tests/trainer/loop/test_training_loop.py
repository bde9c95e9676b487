"""Training on a data set drawn on the spot: it learns, repeats itself, resumes exactly, and stops without spoiling anything."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.full_disk import files_limited_to
from support.small_trainer import RECIPE, Lab

from edge.contracts.errors import ConfigError, DataError
from trainer.checkpoint import load_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.loop.batches import batches, cut, part_numbers
from trainer.loop.training_loop import Outcome, train
from trainer.recipe import Phase, Recipe, load_recipe

pytestmark = pytest.mark.timeout(120)


class DoesAt:
    """A training set at one of whose samples something happens."""

    def __init__(self, inner: TrainingSet, at: int, what: Callable[[], object]) -> None:
        self.inner, self.at, self.what = inner, at, what

    def sample(self, index: int) -> object:
        if index == self.at:
            self.what()
        return self.inner.sample(index)


def lose_power() -> None:
    raise KeyboardInterrupt


def with_event(sets: list[TrainingSet], phase: int, at: int, what: Callable[[], object]) -> list[TrainingSet]:
    return [DoesAt(one, at, what) if n == phase else one for n, one in enumerate(sets)]  # type: ignore[misc]


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


def assert_same(one: Outcome, other: Outcome) -> None:
    a, b = one.checkpoint, other.checkpoint
    assert a.step == b.step == a.recipe.total_steps
    assert all(torch.equal(a.ema[name], b.ema[name]) for name in b.ema)
    assert all(torch.equal(a.model[name], b.model[name]) for name in b.model)


@pytest.fixture(scope="module")
def whole(lab: Lab, sets: list[TrainingSet], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return train(load_recipe(str(lab.recipe)), sets, tmp_path_factory.mktemp("whole"), {})


@pytest.mark.parametrize("at", [pytest.param((0, 9), id="in-the-first-phase"), pytest.param((1, 3), id="in-the-second-phase")])
def test_a_resumed_training_ends_with_the_very_weights_of_an_uninterrupted_one(
    lab: Lab, sets: list[TrainingSet], whole: Outcome, tmp_path: Path, at: tuple[int, int]
) -> None:
    recipe = load_recipe(str(lab.recipe))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, with_event(sets, *at, lose_power), tmp_path, {})
    half = load_checkpoint(tmp_path / "last.pt")
    assert 0 < half.step < recipe.total_steps
    resumed = train(recipe, sets, tmp_path, {}, resume=half)
    assert_same(resumed, whole)
    assert [row["step"] for row in losses(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert resumed.checkpoint.seconds > half.seconds > 0


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, id="ctrl-c"), pytest.param(signal.SIGTERM, id="sigterm")])
def test_a_signal_ends_after_the_step_with_a_checkpoint_to_go_on_from(
    lab: Lab, sets: list[TrainingSet], whole: Outcome, tmp_path: Path, number: int
) -> None:
    recipe = load_recipe(str(lab.recipe), {"checkpoint_every_steps": 100})
    before = signal.getsignal(number)
    stopped = train(recipe, with_event(sets, 0, 9, lambda: os.kill(os.getpid(), number)), tmp_path, {})
    assert not stopped.finished and stopped.checkpoint.step == 3 and signal.getsignal(number) == before
    assert_same(train(recipe, sets, tmp_path, {}, resume=load_checkpoint(tmp_path / "last.pt")), whole)


def test_samples_prepared_by_worker_processes_give_the_same_weights(
    lab: Lab, sets: list[TrainingSet], whole: Outcome, tmp_path: Path
) -> None:
    assert_same(train(load_recipe(str(lab.recipe), {"workers": 2}), sets, tmp_path, {}), whole)


@pytest.mark.parametrize(
    ("optimiser", "precision", "rate"),
    [
        pytest.param("adamw", "float32", 3e-3, id="adamw"),
        pytest.param("sgd", "float32", 1e-3, id="sgd-of-the-reference"),
        pytest.param("adamw", "bfloat16", 3e-3, id="bfloat16"),
    ],
)
def test_the_loss_falls(sets: list[TrainingSet], tmp_path: Path, optimiser: str, precision: str, rate: float) -> None:
    settings = {"name": optimiser, "peak_learning_rate": rate, "warm_up_steps": 0}
    phases = [{"steps": 25, "batch_size": 4, "subdivisions": 2}]
    content = {**RECIPE, "optimiser": settings, "phases": phases, "precision": precision, "checkpoint_every_steps": 100}
    train(Recipe.model_validate(content), [Repeats(sets[1], 4)], tmp_path, {})  # type: ignore[list-item]
    totals = [row["loss"] for row in losses(tmp_path)]
    assert np.mean(totals[-3:]) < 0.7 * np.mean(totals[:3])


class Repeats:
    """The same few samples over and over, as prepared once."""

    def __init__(self, inner: TrainingSet, count: int) -> None:
        self.samples = [inner.sample(k) for k in range(count)]

    def sample(self, index: int) -> object:
        return self.samples[index % len(self.samples)]


def test_a_loss_that_is_not_finite_keeps_the_batch_and_the_last_checkpoint(sets: list[TrainingSet], tmp_path: Path) -> None:
    diverging = {"name": "sgd", "peak_learning_rate": 1e25}
    phases = [{"steps": 6, "batch_size": 4, "subdivisions": 2}]
    recipe = Recipe.model_validate({**RECIPE, "optimiser": diverging, "phases": phases, "checkpoint_every_steps": 1})
    with pytest.raises(DataError, match=r"no longer finite .* in step 2, .* samples 4 to 7, kept in .*bad_batch\.pt"):
        train(recipe, sets[1:], tmp_path, {})
    last = load_checkpoint(tmp_path / "last.pt")
    assert last.step == 1 and all(value.isfinite().all() for value in last.model.values())
    kept = torch.load(tmp_path / "bad_batch.pt", weights_only=True)
    image, boxes, _ = sets[1].sample(6)
    assert kept["step"] == 2 and kept["samples"] == [4, 5, 6, 7]
    assert torch.equal(kept["images_bgr"][2], torch.from_numpy(image)) and kept["boxes_px"][2].tolist() == boxes.tolist()
    assert [row["step"] for row in losses(tmp_path)] == [1]


def test_a_batch_that_cannot_be_kept_does_not_hide_why_the_training_ended(sets: list[TrainingSet], tmp_path: Path) -> None:
    (tmp_path / "bad_batch.pt").mkdir()
    diverging = {"name": "sgd", "peak_learning_rate": 1e25}
    recipe = Recipe.model_validate({**RECIPE, "optimiser": diverging, "phases": [{"steps": 3, "batch_size": 2}]})
    with pytest.raises(DataError, match=r"no longer finite .* samples 2 to 3, which could not be kept in .*\(Is a directory\)"):
        train(recipe, sets[1:], tmp_path, {})


# TensorBoard writes in a thread of its own, which says what it met there too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    ("room", "says"),
    [
        pytest.param(0, "the losses in .* could not be written .File too large.", id="not-even-a-line"),
        pytest.param(700, "the losses in .* could not be written .File too large.", id="a-few-lines"),
        pytest.param(4000, r"checkpoint .*last\.pt could not be written .File too large.", id="everything-but-the-weights"),
    ],
)
def test_a_full_disk_is_one_sentence(lab: Lab, sets: list[TrainingSet], tmp_path: Path, room: int, says: str) -> None:
    recipe = load_recipe(str(lab.recipe), {"checkpoint_every_steps": 100})
    with files_limited_to(room), pytest.raises(DataError, match=f"^{says}"):
        train(recipe, sets, tmp_path, {})


def test_an_out_that_is_a_file_is_said(sets: list[TrainingSet], tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match=r"could not be written .File exists.; free the disk or correct --out"):
        train(Recipe.model_validate(RECIPE), sets, tmp_path / "out", {})


def test_weights_of_another_architecture_are_refused_by_name(sets: list[TrainingSet], whole: Outcome, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**RECIPE, "architecture": "yolov3-tiny"})
    with pytest.raises(DataError, match=r"recipe `small` does not fit YoloV3Tiny: .* first `coarse"):
        train(recipe, sets, tmp_path, {}, start_from=whole.checkpoint)
    assert not list(tmp_path.iterdir())


def test_float16_on_a_cpu_is_refused(sets: list[TrainingSet], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use bfloat16 or float32"):
        train(Recipe.model_validate({**RECIPE, "precision": "float16"}), sets, tmp_path, {})


@pytest.mark.parametrize(
    ("subdivisions", "processes", "parts"),
    [(1, 1, 1), (4, 1, 4), (4, 2, 2), (4, 4, 1), (1, 3, 1), (4, 3, 2)],
)
def test_every_sample_of_a_batch_is_computed_once_whoever_computes_it(subdivisions: int, processes: int, parts: int) -> None:
    phase = Phase(steps=1, batch_size=12, subdivisions=subdivisions)
    assert cut(phase, processes) == parts
    rows = [row for rank in range(processes) for row in part_numbers(24, 12, parts, rank, processes)]
    assert [index for row in rows for index in row] == list(range(24, 36)) and len({len(row) for row in rows}) == 1


def test_a_batch_that_cannot_be_shared_says_what_would_do() -> None:
    with pytest.raises(ConfigError, match=r"a batch of 12 cannot be shared by 5 processes .* multiple of 5"):
        cut(Phase(steps=1, batch_size=12), 5)


def test_a_resumed_stream_goes_on_at_the_next_sample(sets: list[TrainingSet]) -> None:
    recipe = Recipe.model_validate(RECIPE)
    numbers = [(batch.phase, batch.parts[0].samples) for batch in batches(recipe, sets, 2)]
    assert numbers == [(0, [8, 9, 10, 11]), (1, [0, 1]), (1, [2, 3]), (1, [4, 5])]
