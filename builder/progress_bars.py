"""Bars on standard error: the phases of a build, and the frames of a parity gate."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

GateProgress = Callable[[str, int], Callable[[int], object]]
"""Told what begins and of how many frames; what it returns is told how many more were done."""


def no_progress(what: str, total: int) -> Callable[[int], object]:
    """Tells nobody."""
    return lambda n: (what, total, n)


class ProgressWatch:
    """`BuildWatch`: a bar per running phase on standard error; nothing where it is no terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, list[TaskID]] = {}

    def __enter__(self) -> "ProgressWatch":
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        depth = sum(map(len, self._tasks.values()))
        self._tasks.setdefault(phase, []).append(self._progress.add_task("  " * min(depth, 4) + phase, total=n_steps))

    def finished(self, phase: str) -> None:
        if running := self._tasks.get(phase):
            self._progress.remove_task(running.pop())

    def stepped(self, phase: str, step: int) -> None:
        if running := self._tasks.get(phase):
            self._progress.update(running[-1], completed=step + 1)


@contextmanager
def gate_bars(*, quiet: bool) -> Iterator[GateProgress]:
    """A bar per executor while it runs; none when `quiet`."""
    if quiet:
        yield no_progress
        return
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def begin(what: str, total: int) -> Callable[[int], object]:
            task = bars.add_task(what, total=total)
            return lambda n: bars.advance(task, n)

        yield begin
