"""The bars of commands that work through fields or records: on standard error, gone when the work is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Passed = Callable[[int], None]
"""Told how many more fields or records have passed."""


def field_bar() -> Progress:
    """Enter it and add one task."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def record_bars() -> Iterator[Callable[[str, int], Passed]]:
    """One bar after the other: what is given begins one, with its words and its total. Nothing where there is no terminal."""
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def begin(what: str, total: int) -> Passed:
            task = bars.add_task(what, total=total)
            return lambda n: bars.advance(task, n)

        yield begin
