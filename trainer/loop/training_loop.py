"""The training loop, and how Ctrl-C, SIGTERM and SIGHUP end it after the step at hand."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import torch

from edge.contracts.errors import DataError
from edge.contracts.interruption import FurtherSignals
from trainer.checkpoint import LAST, Checkpoint, reason, save_checkpoint
from trainer.data.compose.training_set import TrainingSet
from trainer.loop.batches import Batch, Part, batches
from trainer.loop.boards import TENSORBOARD, BoardName
from trainer.loop.optimiser_step import NotFinite
from trainer.loop.ranks import Ranks
from trainer.loop.sample_workers import ASKING, SamplesLost
from trainer.loop.training_log import Clock, TrainingLog
from trainer.loop.training_pictures import FirstBatches
from trainer.loop.training_state import Pretrain, TrainingState
from trainer.loop.validating import Validating
from trainer.loop.validation import Validator
from trainer.recipe import Recipe

ALONE = Ranks(torch.device("cpu"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A training at its end, or where it was stopped, and how it went. The images are those of all processes.

    `loss` are this run's losses, a step each: the sum of the terms. `undone`: the last step is done, and its validation is not.
    """

    checkpoint: Checkpoint
    loss: list[float]
    images_per_s: float
    waiting_share: float
    start_up_s: float
    undone: bool = False

    @property
    def finished(self) -> bool:
        """False when it was stopped before its end."""
        return self.checkpoint.finished and not self.undone


def train(
    recipe: Recipe,
    training_sets: Sequence[TrainingSet],
    folder: Path,
    data: dict[str, object],
    resume: Checkpoint | None = None,
    start_from: Checkpoint | None = None,
    pretrain: Pretrain | None = None,
    ranks: Ranks = ALONE,
    validator: Validator | None = None,
    boards: Sequence[BoardName] = TENSORBOARD,
) -> Outcome:
    """Train by `recipe`, one training set per phase; `folder` gets last.pt, losses.jsonl, pictures and what `boards` keep
    there; with a `validator` that keeps it, best.pt, too.

    `resume` continues a training of the same recipe; `start_from` only takes its weights, `pretrain` sets those of the trunk.
    `data` describes the data sets and is kept in the checkpoint. SIGINT, SIGTERM and SIGHUP end it after the step at hand, with
    a checkpoint; a validation is given up then, and done when the training goes on. Raises `SamplesLost`, with a checkpoint
    too, when no more samples come, and `DataError` when the loss stops being finite; the last checkpoint is then as it was.
    """
    training = TrainingState(recipe, data, ranks, resume, start_from, pretrain)
    saved = training.step if resume else None
    loss: list[float] = []
    with ExitStack() as stack:
        log = None
        if ranks.first:
            log = stack.enter_context(TrainingLog(folder, recipe, training.step, boards, training.so_far.step))
        clock = Clock()  # opening a board may take longer than many steps
        request = stack.enter_context(stop_request())
        validating = Validating(training, validator, folder, log, clock)
        # What a stop left undone comes first: the weights are those that would have been measured.
        stopping = not validating.done(lambda: request.asked)
        if validating.booked:
            saved = _save(training, folder, clock)
        stream = batches(recipe, training_sets, training.step, ranks.rank, ranks.count, ranks.device.type == "cuda")
        seen = stack.enter_context(closing(FirstBatches(folder, log.say, partial(log.picture, step=1)))) if log else None
        try:
            for batch in () if stopping or training.so_far.ended else clock.timed(stream):
                rate = training.set_learning_rate()
                if seen:
                    seen.see(batch)
                losses = _step(training, batch, folder)
                loss.append(sum(losses.values()))
                clock.images += recipe.phases[batch.phase].batch_size
                if log:
                    log.step(training.step, batch, losses, rate, clock)
                stopping = ranks.any(request.asked) or not validating.done(lambda: request.asked)
                if stopping or validating.booked or training.step % recipe.checkpoint_every_steps == 0:
                    saved = _save(training, folder, clock)
                if stopping or training.so_far.ended:
                    break
        except SamplesLost:
            if loss and saved != training.step:
                _save(training, folder, clock)
            raise
        if saved != training.step:
            _save(training, folder, clock)
    found = training.snapshot(clock.seconds)
    return Outcome(found, loss, clock.images_per_s, clock.waiting_share, clock.start_up_s, validating.is_due)


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
