"""Trainings as real processes: one that is killed, two that share batches, two that go on after one was lost."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch
from support.small_trainer import Lab, processes, start
from torch import Tensor

from trainer.checkpoint import load_checkpoint
from trainer.data.annotation import Annotation
from trainer.data.compose.training_set import TrainingSet
from trainer.data.datasets import load_datasets
from trainer.evaluation.average_precision import leukocyte_curve
from trainer.evaluation.detect import results_of
from trainer.evaluation.target import checkpoint_target
from trainer.loop.batches import Part
from trainer.loop.optimiser_step import Stepper
from trainer.loop.training_loop import train
from trainer.models.detector import Detector
from trainer.recipe import load_recipe

pytestmark = pytest.mark.timeout(180)

PATIENCE_S = 120


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the processes that are started: sums are equal to the last bit only when they are cut alike."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def losses(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    return [row for row in rows if "validation" not in row]


def launch(
    lab: Lab,
    out: Path,
    ranks: int = 1,
    killed_at: dict[int, int] | None = None,
    changes: tuple[str, ...] = (),
    more: tuple[str, ...] = (),
) -> list[int]:
    """Run `leuko-train fit` in `ranks` processes as torchrun does; their exit codes. rank k's words are in `out`.k."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    started = []
    try:
        for rank in range(ranks):
            world = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            environment = {name: str(value) for name, value in world.items()} if ranks > 1 else {}
            arguments = lab.arguments(out, *(word for change in changes for word in ("--set", change)), *more)
            said = Path(f"{out}.{rank}")
            started.append(start(processes(), arguments, said, environment, (killed_at or {}).get(rank)))
        deadline = time.monotonic() + PATIENCE_S
        for one in started:
            one.join(max(0.0, deadline - time.monotonic()))
        codes = [one.exitcode for one in started]
    finally:
        # A process that hangs does not heed SIGTERM either, and the end of the tests would wait for it for ever.
        for one in started:
            one.kill()
    assert None not in codes, [Path(f"{out}.{rank}").read_text() for rank in range(ranks)]
    return [int(code or 0) for code in codes]


def test_a_training_killed_between_checkpoints_goes_on_with_the_same_samples_and_losses(
    lab: Lab, sets: list[TrainingSet], tmp_path: Path
) -> None:
    # The network draws at random too, so that its draws have to be repeated as well.
    changes = {"options": {"dropout": 0.2}, "checkpoint_every_steps": 3, "phases.0.steps": 1, "phases.1.steps": 7}
    recipe = load_recipe(str(lab.recipe), changes)
    whole = train(recipe, sets, tmp_path / "whole", {})
    out = tmp_path / "killed"
    given = tuple(f"{key}={json.dumps(value)}" for key, value in changes.items())
    assert launch(lab, out, killed_at={0: 9}, changes=given) == [-9], Path(f"{out}.0").read_text()
    last = load_checkpoint(out / "last.pt")
    assert last.step == 3 and len(losses(out)) == 5, "it must die with steps that no checkpoint has"
    resumed = train(recipe, sets, out, {}, resume=last)
    rows, expected = losses(out), losses(tmp_path / "whole")
    assert [(row["step"], row["phase"], row["first_sample"]) for row in rows] == [
        (row["step"], row["phase"], row["first_sample"]) for row in expected
    ]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], rel=1e-6)
    assert all(torch.equal(value, whole.checkpoint.ema[name]) for name, value in resumed.checkpoint.ema.items())


def test_two_processes_train_as_one_with_the_same_batch(
    lab: Lab, sets: list[TrainingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = {"phases.0.subdivisions": 2, "phases.1.subdivisions": 2}
    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", with_mean_statistics)
        alone = train(load_recipe(str(lab.recipe), halves), sets, tmp_path / "alone", {}).checkpoint
    assert launch(lab, tmp_path / "two", 2) == [0, 0], Path(tmp_path / "two.0").read_text()
    expected, rows = losses(tmp_path / "alone"), losses(tmp_path / "two")
    assert [row["first_sample"] for row in rows] == [row["first_sample"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-5, abs=1e-5)
    shared = load_checkpoint(tmp_path / "two" / "last.pt")
    assert_close(shared.model, alone.model)
    assert_close(shared.ema, alone.ema)  # what is exported
    measured = [result.cells for result in results_of(checkpoint_target(shared), held_back(lab))]
    found = load_checkpoint(tmp_path / "two" / "best.pt").data["chosen"]
    assert (found["after_step"], found["images"], found["wbc_ap"]) == (6, 2, leukocyte_curve(measured).ap), "each had one image"
    assert "images/s" in Path(tmp_path / "two.0").read_text()
    assert "images/s" not in Path(tmp_path / "two.1").read_text()


def held_back(lab: Lab) -> list[Annotation]:
    return [row for row in load_datasets(lab.description, lab.root) if row.split == "test"]


def with_mean_statistics(
    self: Stepper, parts: Sequence[Part], step: Callable[[Stepper, Sequence[Part]], dict[str, float]] = Stepper.step
) -> dict[str, float]:
    """One process as two: the running statistics of each part go on from those before the step, and their mean remains."""
    before, after = running(self.model), []

    def begin(*_: object) -> None:
        self.model.load_state_dict(before, strict=False)

    hooks = (
        self.model.register_forward_pre_hook(begin),
        self.model.register_forward_hook(lambda *_: after.append(running(self.model))),
    )
    result = step(self, parts)
    for hook in hooks:
        hook.remove()
    assert len(after) == 2
    self.model.load_state_dict({name: (after[0][name] + after[1][name]) / 2 for name in before}, strict=False)
    return result


def running(model: Detector) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items() if "running" in name}


def assert_close(shared: dict[str, Tensor], alone: dict[str, Tensor]) -> None:
    assert shared.keys() == alone.keys()
    for name, value in alone.items():
        if value.dtype.is_floating_point:  # the count of batches is one's own
            assert torch.allclose(shared[name], value, rtol=1e-4, atol=1e-5), name


def test_losing_a_process_ends_the_others_with_a_sentence_and_both_go_on(
    lab: Lab, sets: list[TrainingSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "lost"
    assert launch(lab, out, 2, killed_at={1: 10}) == [1, -9]
    said = Path(f"{out}.0").read_text()
    assert "another process of this training ended" in said and "--resume" in said and "Traceback" not in said
    assert load_checkpoint(out / "last.pt").step == 2
    assert launch(lab, out, 2, more=("--resume",)) == [0, 0], Path(f"{out}.0").read_text()
    halves = {"phases.0.subdivisions": 2, "phases.1.subdivisions": 2}
    monkeypatch.setattr(Stepper, "step", with_mean_statistics)
    alone = train(load_recipe(str(lab.recipe), halves), sets, tmp_path / "alone", {}).checkpoint
    for row, other in zip(losses(out), losses(tmp_path / "alone"), strict=True):
        assert row == pytest.approx(other, rel=1e-5, abs=1e-5)
    assert_close(load_checkpoint(out / "last.pt").ema, alone.ema)
