"""What a training tells while it runs: losses as JSON lines and on boards, progress on the terminal, where time goes."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from edge.contracts.errors import DataError
from trainer.loop.batches import Batch
from trainer.loop.best_so_far import BestSoFar
from trainer.loop.boards import TENSORBOARD, BoardName, open_boards
from trainer.recipe import Recipe

LOSSES = "losses.jsonl"


class Clock:
    """Where the time of a loop goes. The first batch of a phase waits for processes to start: that is start-up, not waiting;
    what is done aside, as validations, is neither."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.start_up_s = self.waiting_s = self.aside_s = 0.0
        self.images = 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Book what is done within as no part of the training's speed."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.aside_s += time.monotonic() - begun

    def timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, with the time booked that each is waited for."""
        phase = None
        stream = iter(batches)
        while True:
            asked = time.monotonic()
            batch = next(stream, None)
            waited = time.monotonic() - asked
            if batch is None:
                return
            if batch.phase == phase:
                self.waiting_s += waited
            else:
                self.start_up_s += waited
            phase = batch.phase
            yield batch

    @property
    def seconds(self) -> float:
        """Since the loop began."""
        return time.monotonic() - self.begun

    @property
    def training_s(self) -> float:
        """After start-up, without what was done aside."""
        return max(1e-9, self.seconds - self.start_up_s - self.aside_s)

    @property
    def waiting_share(self) -> float:
        """Share of the time of training that was spent waiting for data."""
        return self.waiting_s / self.training_s

    @property
    def images_per_s(self) -> float:
        """Images of all processes per second of training."""
        return self.images / self.training_s


class TrainingLog:
    """Writes `losses.jsonl` in the training's folder and tells its boards; only the first process has one.

    A line is a step; or a validation, which has the key `validation`.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        step: int,
        boards: Sequence[BoardName] = TENSORBOARD,
        validated_step: int = 0,
    ) -> None:
        """To go on after `step`, the last validation of which was that of `validated_step`."""
        self._folder = folder
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._losses = _continued(folder / LOSSES, step, validated_step)
            self._boards = open_boards(boards, folder, recipe, step, self.say)
        # A log file is not redrawn: fewer lines.
        every = 2.0 if sys.stderr.isatty() else 60.0
        self._bar = tqdm(total=recipe.total_steps, initial=step, unit="step", desc=recipe.name, mininterval=every)
        self._validated: dict[str, str] = {}

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._bar.close()
        try:
            with _writing(self._folder), closing(self._losses):
                for board in self._boards:
                    board.close()
        except DataError:
            # What ended the training is said, not that its last words do not fit on the disk either.
            if problem is None:
                raise

    def step(self, step: int, batch: Batch, losses: dict[str, float], rate: float, clock: Clock) -> None:
        """Book step `step` (from 1). Raises `DataError` when the disk is full."""
        total = sum(losses.values())
        row = {"step": step, "phase": batch.phase, "first_sample": batch.first_sample, "loss": total, **losses}
        scalars = {
            "loss/total": total,
            **{f"loss/{name}": value for name, value in losses.items()},
            "learning_rate": rate,
            "images_per_s": clock.images_per_s,
            "waiting_for_data": clock.waiting_share,
        }
        with _writing(self._folder):
            self._losses.write(json.dumps({**row, "learning_rate": rate}) + "\n")
            for board in self._boards:
                board.scalars(scalars, step)
        self._show({name: f"{value:.3f}" for name, value in losses.items()})

    def validated(self, so_far: BestSoFar, seconds: float) -> None:
        """Book the last validation, which took `seconds`. Raises `DataError` when the disk is full."""
        figures = so_far.last
        if figures is None:
            return
        is_best = so_far.since_best == 0
        row = {"step": figures.step, "validation": {**figures.model_dump(exclude={"step"}), "best": is_best}}
        ap = {"wbc_ap": figures.wbc_ap, "map": figures.map}
        scalars = {
            **{f"validation/{name}": value for name, value in ap.items() if value is not None},
            "validation/loss/total": figures.loss,
            **{f"validation/loss/{name}": value for name, value in figures.terms.items()},
        }
        with _writing(self._folder):
            self._losses.write(json.dumps(row) + "\n")
            for board in self._boards:
                board.scalars(scalars, figures.step)
        self._validated = {name: f"{value:.3f}" for name, value in {**ap, "val": figures.loss}.items() if value is not None}
        best = so_far.best.step if so_far.best else 0
        how = "the best so far" if is_best else f"the best is still that of step {best}"
        self.say(f"step {figures.step}, {figures.images} held-back images: {figures.in_words()}; {how} ({seconds:.0f} s)")

    def picture(self, path: Path, step: int) -> None:
        """Show a picture that was written. Raises `DataError` when the disk is full."""
        with _writing(self._folder):
            for board in self._boards:
                board.picture(path, step)

    def say(self, words: str) -> None:
        """A line above the progress bar, for whoever looks."""
        with suppress(OSError):
            tqdm.write(words, file=sys.stderr)

    def _show(self, losses: dict[str, str]) -> None:
        try:
            self._bar.update()
            self._bar.set_postfix({**losses, **self._validated}, refresh=False)
        except OSError:
            # Nobody looks any more: the terminal was closed, or the pipe. The training goes on without.
            self._bar.disable = True


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"the losses in {folder} could not be written ({problem.strerror}); free the disk or correct --out, then go on "
            "with --resume."
        ) from problem


def _lines(path: Path) -> Iterator[tuple[int, bool, str]]:
    """Step, whether it is a validation, and line of all that a log holds."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                yield row["step"], "validation" in row, line
            except json.JSONDecodeError:
                return  # the line a killed process was writing


def steps_after(path: Path, step: int) -> int:
    """How many steps a log holds beyond `step`."""
    return sum(row > step and not validation for row, validation, _ in _lines(path))


def _continued(path: Path, step: int, validated_step: int) -> TextIO:
    """`path` opened to go on after `step`: what a lost run wrote beyond its last checkpoint is taken off."""
    kept = [line + "\n" for row, validation, line in _lines(path) if row <= (validated_step if validation else step)]
    part = path.with_suffix(".part")
    part.write_text("".join(kept), encoding="utf-8")
    part.replace(path)
    return path.open("a", encoding="utf-8", buffering=1)
