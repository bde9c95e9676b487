"""The training loop, and how Ctrl-C, SIGTERM and SIGHUP end it after the step at hand."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch

from edge.contracts.errors import DataError
from edge.contracts.interruption import FurtherSignals
from trainer.checkpoint import Checkpoint, reason, save_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.loop.batches import Batch, Part, batches
from trainer.loop.optimiser_step import NotFinite
from trainer.loop.ranks import Ranks
from trainer.loop.sample_workers import ASKING, SamplesLost
from trainer.loop.training_log import Clock, TrainingLog
from trainer.loop.training_state import Pretrain, TrainingState
from trainer.recipe import Recipe

LAST = "last.pt"
ALONE = Ranks(torch.device("cpu"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training at its end, or where it was stopped, and how it went. The images are those of all processes.

    `loss` are this run's losses, a step each: the sum of the terms.
    """

    checkpoint: Checkpoint
    loss: list[float]
    images_per_s: float
    waiting_share: float
    start_up_s: float

    @property
    def finished(self) -> bool:
        """False when it was stopped before its last step."""
        return self.checkpoint.finished


def train(
    recipe: Recipe,
    training_sets: Sequence[TrainingSet],
    folder: Path,
    data: dict[str, object],
    resume: Checkpoint | None = None,
    start_from: Checkpoint | None = None,
    pretrain: Pretrain | None = None,
    ranks: Ranks = ALONE,
) -> Outcome:
    """Train by `recipe`, one training set per phase; `folder` gets last.pt, losses.jsonl and tensorboard/.

    `resume` continues a training of the same recipe; `start_from` only takes its weights, `pretrain` sets those of the trunk.
    `data` describes the data sets and is kept in the checkpoint. SIGINT, SIGTERM and SIGHUP end it after the step at hand, with
    a checkpoint. Raises `SamplesLost`, with a checkpoint too, when no more samples come, and `DataError` when the loss stops
    being finite; the last checkpoint is then as it was.
    """
    training = TrainingState(recipe, data, ranks, resume, start_from, pretrain)
    saved = training.step if resume else None
    clock = Clock()
    loss: list[float] = []
    with ExitStack() as stack:
        log = stack.enter_context(TrainingLog(folder, recipe, training.step)) if ranks.first else None
        request = stack.enter_context(stop_request())
        stream = batches(recipe, training_sets, training.step, ranks.rank, ranks.count, ranks.device.type == "cuda")
        try:
            for batch in clock.timed(stream):
                rate = training.set_learning_rate()
                losses = _step(training, batch, folder)
                loss.append(sum(losses.values()))
                clock.images += recipe.phases[batch.phase].batch_size
                if log:
                    log.step(training.step, batch, losses, rate, clock)
                stopping = ranks.total([float(request.asked)])[0] > 0
                if stopping or training.step % recipe.checkpoint_every_steps == 0:
                    saved = _save(training, folder, clock)
                if stopping:
                    break
        except SamplesLost:
            if loss and saved != training.step:
                _save(training, folder, clock)
            raise
        if saved != training.step:
            _save(training, folder, clock)
    return Outcome(training.snapshot(clock.seconds), loss, clock.images_per_s, clock.waiting_share, clock.start_up_s)


def _step(training: TrainingState, batch: Batch, folder: Path) -> dict[str, float]:
    # Whatever a network draws at random follows from the seed and the step, so that a resumed run draws the same.
    torch.manual_seed((training.recipe.seed * 1_000_003 + training.step) * 1024 + training.ranks.rank)
    try:
        losses = training.stepper.step(batch.parts)
    except NotFinite as problem:
        kept = _keep(problem.parts, training, folder) if problem.parts else "it is another process's"
        raise DataError(
            f"{problem} in step {training.step + 1}, its batch is {kept}; the last checkpoint is good: lower "
            "`peak_learning_rate` and start from it with --start-from, or look at the batch."
        ) from problem
    training.count_step()
    return losses


def _keep(parts: Sequence[Part], training: TrainingState, folder: Path) -> str:
    """Write the images and cells that gave no finite loss; returns a phrase that names file and samples."""
    rank = training.ranks.rank
    path = folder / (f"bad_batch_{rank}.pt" if rank else "bad_batch.pt")
    samples = [index for part in parts for index in part.samples]
    targets = [target for part in parts for target in part.targets]
    content = {
        "step": training.step + 1,
        "seed": training.recipe.seed,
        "samples": samples,
        "images_bgr": torch.cat([part.images for part in parts]),
        "boxes_px": [target.boxes for target in targets],
        "labels": [target.labels for target in targets],
    }
    named = f"samples {samples[0]} to {samples[-1]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as problem:
        return f"{named}, which could not be kept in {path} ({reason(problem)})"
    return f"{named}, kept in {path}"


def _save(training: TrainingState, folder: Path, clock: Clock) -> int:
    if training.ranks.first:
        save_checkpoint(folder / LAST, training.snapshot(clock.seconds))
    return training.step


@dataclass(slots=True)
class Request:
    """Whether somebody asked to stop."""

    asked: bool = False


@contextmanager
def stop_request() -> Iterator[Request]:
    """Catch the first signal; a further one ends the process at once."""
    request, further = Request(), FurtherSignals()
    # What the shell had ignored for us (nohup, a job in the background of a script) stays ignored.
    before = {number: signal.getsignal(number) for number in ASKING if signal.getsignal(number) is not signal.SIG_IGN}

    def ask(number: int, frame: FrameType | None) -> None:
        request.asked = True
        further.end_the_process()

    for number in before:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        further.close()
        for number, handler in before.items():
            signal.signal(number, handler)
