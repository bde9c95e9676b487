"""What a training tells while it runs: losses as JSON lines and in TensorBoard, progress on the terminal, where time goes."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from edge.contracts.errors import DataError
from trainer.loop.batches import Batch
from trainer.recipe import Recipe

LOSSES = "losses.jsonl"


class Clock:
    """Where the time of a loop goes. The first batch of a phase waits for processes to start: that is start-up, not waiting."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.start_up_s = self.waiting_s = 0.0
        self.images = 0

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
    def waiting_share(self) -> float:
        """Share of the time after start-up that was spent waiting for data."""
        return self.waiting_s / max(1e-9, self.seconds - self.start_up_s)

    @property
    def images_per_s(self) -> float:
        """Images of all processes per second after start-up."""
        return self.images / max(1e-9, self.seconds - self.start_up_s)


class TrainingLog:
    """Writes `losses.jsonl` and `tensorboard/` in the training's folder; only the first process has one."""

    def __init__(self, folder: Path, recipe: Recipe, step: int) -> None:
        # Half a second that commands without a training should not pay.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415

        self._folder = folder
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._losses = _continued(folder / LOSSES, step)
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        # A log file is not redrawn: fewer lines.
        every = 2.0 if sys.stderr.isatty() else 60.0
        self._bar = tqdm(total=recipe.total_steps, initial=step, unit="step", desc=recipe.name, mininterval=every)

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._bar.close()
        try:
            with _writing(self._folder), closing(self._losses):
                self._board.close()
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
            for name, value in scalars.items():
                self._board.add_scalar(name, value, step)
        self._show({name: f"{value:.3f}" for name, value in losses.items()})

    def _show(self, losses: dict[str, str]) -> None:
        try:
            self._bar.update()
            self._bar.set_postfix(losses, refresh=False)
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


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Step and line of all that a log holds."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)["step"], line
            except json.JSONDecodeError:
                return  # the line a killed process was writing


def steps_after(path: Path, step: int) -> int:
    """How many steps a log holds beyond `step`."""
    return sum(row > step for row, _ in _lines(path))


def _continued(path: Path, step: int) -> TextIO:
    """`path` opened to go on after `step`: what a lost run wrote beyond its last checkpoint is taken off."""
    kept = [line + "\n" for row, line in _lines(path) if row <= step]
    part = path.with_suffix(".part")
    part.write_text("".join(kept), encoding="utf-8")
    part.replace(path)
    return path.open("a", encoding="utf-8", buffering=1)
