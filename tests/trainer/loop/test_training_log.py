"""What a training tells of itself: where its time went, and the same figures in losses.jsonl and in TensorBoard."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.small_trainer import RECIPE
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.loop import training_log
from trainer.loop.batches import Batch
from trainer.loop.training_log import Clock, TrainingLog
from trainer.recipe import Recipe


class Hand:
    """A monotonic clock that only a test moves, in s."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(training_log, "time", SimpleNamespace(monotonic=hand))
    return hand


def awaited(hand: Hand, waits: list[tuple[int, float]]) -> Iterator[Batch]:
    """One batch for each phase number and seconds until it is there."""
    for phase, wait_s in waits:
        hand.now_s += wait_s
        yield Batch(phase, 0, [])


@pytest.mark.parametrize(
    ("waits", "start_up_s", "waiting_share", "images_per_s"),
    [
        pytest.param([(0, 5.0), (0, 0.0), (0, 0.0)], 5.0, 0.0, 2.0, id="the-first-batch-is-start-up"),
        pytest.param([(0, 5.0), (0, 0.5), (0, 1.5)], 5.0, 0.25, 1.5, id="the-others-are-waited-for"),
        pytest.param([(0, 5.0), (0, 2.0), (1, 3.0), (1, 6.0)], 8.0, 0.5, 1.0, id="each-phase-starts-its-processes-anew"),
        pytest.param([(1, 4.0)], 4.0, 0.0, 2.0, id="a-run-resumed-in-a-later-phase"),
        pytest.param([], 0.0, 0.0, 0.0, id="nothing-left-to-do"),
    ],
)
def test_time_is_start_up_waiting_or_work(
    hand: Hand, waits: list[tuple[int, float]], start_up_s: float, waiting_share: float, images_per_s: float
) -> None:
    clock = Clock()
    for _ in clock.timed(awaited(hand, waits)):
        hand.now_s += 2.0  # the step
        clock.images += 4
    assert clock.seconds == pytest.approx(sum(wait_s for _, wait_s in waits) + 2.0 * len(waits))
    assert clock.start_up_s == pytest.approx(start_up_s)
    assert (clock.waiting_share, clock.images_per_s) == pytest.approx((waiting_share, images_per_s))


def test_losses_and_tensorboard_hold_the_same_figures(hand: Hand, tmp_path: Path) -> None:
    clock = Clock()
    stream = clock.timed(awaited(hand, [(0, 5.0), (0, 1.0)]))
    with TrainingLog(tmp_path, Recipe.model_validate(RECIPE), 0) as told:
        for step, losses, rate in ((1, {"box": 1.5, "class": 0.25}, 5e-4), (2, {"box": 1.0, "class": 0.125}, 1e-3)):
            batch = next(stream)
            hand.now_s += 1.5
            clock.images += 8
            told.step(step, batch, losses, rate, clock)
    rows = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert rows == [
        {"step": 1, "phase": 0, "first_sample": 0, "loss": 1.75, "box": 1.5, "class": 0.25, "learning_rate": 5e-4},
        {"step": 2, "phase": 0, "first_sample": 0, "loss": 1.125, "box": 1.0, "class": 0.125, "learning_rate": 1e-3},
    ]
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    scalars = {tag: [(event.step, event.value) for event in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    expected = {
        "loss/total": (1.75, 1.125),
        "loss/box": (1.5, 1.0),
        "loss/class": (0.25, 0.125),
        "learning_rate": (5e-4, 1e-3),
        "images_per_s": (8 / 1.5, 16 / 4.0),  # the 5 s of start-up are none of it
        "waiting_for_data": (0.0, 1.0 / 4.0),
    }
    assert scalars.keys() == expected.keys()
    for tag, values in expected.items():
        assert [step for step, _ in scalars[tag]] == [1, 2]
        assert [value for _, value in scalars[tag]] == pytest.approx(values, rel=1e-6), tag
