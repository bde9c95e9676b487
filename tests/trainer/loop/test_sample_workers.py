"""What a service manager, a closed terminal or a lack of memory does to a training with processes of its own loses no step."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from support.small_trainer import Lab, processes, start

from trainer.checkpoint import load_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.loop import batches as batches_module
from trainer.loop.batches import batches
from trainer.loop.sample_workers import room_to_share, samples_lost
from trainer.loop.training_loop import stop_request
from trainer.recipe import load_recipe

pytestmark = pytest.mark.timeout(180)

PATIENCE_S = 120
STOPPED, LOST = 130, 7


def _group(number: signal.Signals) -> Callable[[int], None]:
    return lambda pid: os.killpg(pid, number)


def _a_worker(number: signal.Signals) -> Callable[[int], None]:
    return lambda pid: psutil.Process(pid).children()[0].send_signal(number)


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        pytest.param(_group(signal.SIGTERM), STOPPED, "stopped after", id="SIGTERM to all, as systemd and Slurm send it"),
        pytest.param(_group(signal.SIGHUP), STOPPED, "stopped after", id="SIGHUP to all, as a closed terminal sends it"),
        pytest.param(_a_worker(signal.SIGKILL), LOST, "a process that prepares samples died", id="killed for memory"),
        pytest.param(_a_worker(signal.SIGBUS), LOST, "a process that prepares samples died", id="no shared memory"),
    ],
)
def test_a_training_that_is_ended_from_outside_keeps_its_steps(
    lab: Lab, tmp_path: Path, what: Callable[[int], None], code: int, says: str
) -> None:
    out, said = tmp_path / "out", tmp_path / "said"
    changes = ("workers=2", "checkpoint_every_steps=100000", "phases.1.steps=100000")
    arguments = lab.arguments(out, *(word for change in changes for word in ("--set", change)))
    training = start(processes(), arguments, said, {}, own_group=True)
    assert training.pid is not None
    deadline = time.monotonic() + PATIENCE_S
    try:
        log = out / "losses.jsonl"
        # In the second phase: its processes are not the first that were started.
        while not log.exists() or len(log.read_text().splitlines()) < 6:
            assert training.is_alive() and time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        what(training.pid)
        training.join(max(0.0, deadline - time.monotonic()))
        assert training.exitcode == code, said.read_text()
        with pytest.raises(ProcessLookupError):
            os.killpg(training.pid, 0)
    finally:
        if training.is_alive():
            os.killpg(training.pid, signal.SIGKILL)
    text = said.read_text()
    assert says in text and "Traceback" not in text
    assert load_checkpoint(out / "last.pt").step == len(log.read_text().splitlines())


def test_what_the_shell_had_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_request() as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not request.asked, "nohup leuko-train fit ..."
            os.kill(os.getpid(), signal.SIGTERM)
            assert request.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_shared_memory_the_same_samples_come(
    lab: Lab, sets: list[TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(str(lab.recipe), {"workers": 1, "phases.0.steps": 1, "phases.1.steps": 1})
    shared = [part.images for batch in batches(recipe, sets, 0) for part in batch.parts]
    monkeypatch.setattr(batches_module, "room_to_share", lambda size: False)
    piped = [part.images for batch in batches(recipe, sets, 0) for part in batch.parts]
    assert all(torch.equal(one, other) for one, other in zip(shared, piped, strict=True))
    assert not any(images.is_shared() for images in piped)


def test_a_small_shared_memory_is_noticed_before_it_is_full() -> None:
    assert room_to_share(1)
    assert not room_to_share(1 << 60)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        pytest.param(RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "when memory runs out", id="died"),
        pytest.param(
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."), "/dev/shm is full", id="bus error"
        ),
        pytest.param(
            RuntimeError("unable to allocate shared memory(shm) for file </torch_7>: No space left on device (28)"),
            "/dev/shm is full",
            id="full",
        ),
        pytest.param(EOFError(), "died, while it handed them over", id="died in the act"),
        pytest.param(OSError(24, "Too many open files"), "died, Too many open files", id="no descriptors"),
        pytest.param(RuntimeError("shape mismatch"), None, id="a defect stays one"),
    ],
)
def test_what_is_said_when_no_samples_come(problem: RuntimeError | OSError | EOFError, says: str | None) -> None:
    lost = samples_lost(problem)
    assert (lost is None) if says is None else (lost is not None and says in str(lost))


def test_a_worker_that_heeds_nothing_ends_with_its_batches(
    lab: Lab, sets: list[TrainingSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe(str(lab.recipe), {"workers": 1, "phases.0.steps": 40, "phases.1.steps": 1})
    before = set(psutil.Process().children())
    stream = batches(recipe, sets, 0)
    next(stream)
    (worker,) = (child for child in psutil.Process().children() if child not in before)
    worker.suspend()
    stream.close()
    assert psutil.wait_procs([worker], PATIENCE_S)[1] == []
