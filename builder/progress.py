"""What a build is doing, for people."""

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class BuildWatch(Protocol):
    """Hears of a build's phases; they nest, and each has a number of steps."""

    def started(self, phase: str, parent: str | None, n_steps: int) -> None: ...

    def finished(self, phase: str) -> None: ...

    def stepped(self, phase: str, step: int) -> None: ...


class ProgressWatch:
    """A bar per running phase on standard error; nothing where it is no terminal."""

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
