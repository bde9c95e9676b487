"""What a build is doing, for people, and a way to stop it."""

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

_Result = TypeVar("_Result")


class BuildWatch(Protocol):
    """Hears of a build's phases, from any thread; phases nest, and each has a number of steps."""

    def started(self, phase: str, parent: str | None, n_steps: int) -> None: ...

    def finished(self, phase: str) -> None: ...

    def stepped(self, phase: str, step: int) -> bool:
        """Whether to go on; false stops the build."""
        ...


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
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        with self._lock:
            depth = sum(map(len, self._tasks.values()))
            self._tasks.setdefault(phase, []).append(self._progress.add_task("  " * min(depth, 4) + phase, total=n_steps))

    def finished(self, phase: str) -> None:
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.remove_task(running.pop())

    def stepped(self, phase: str, step: int) -> bool:
        with self._lock:
            if running := self._tasks.get(phase):
                self._progress.update(running[-1], completed=step + 1)
        return not self.stop.is_set()

    def run(self, build: Callable[[], _Result]) -> _Result:
        """Run `build` in a thread of its own and show its progress; an interrupt stops it and is raised once it has ended.

        TensorRT holds the thread that calls it for minutes, and an exception must not pass through it.
        """
        results: list[_Result] = []
        failures: list[BaseException] = []

        def work() -> None:
            try:
                results.append(build())
            except BaseException as problem:  # noqa: BLE001 - it is raised in the caller's thread
                failures.append(problem)

        thread = threading.Thread(target=work, name="build")
        with self._progress:
            thread.start()
            try:
                while thread.is_alive():
                    thread.join(0.1)
            except KeyboardInterrupt:
                self.stop.set()
                thread.join()
                raise
        if failures:
            raise failures[0]
        return results[0]
