"""Ctrl-C and SIGTERM ask a training to end after the step at hand."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Request:
    """Whether somebody asked to stop."""

    asked: bool = False


@contextmanager
def stop_request() -> Iterator[Request]:
    """Catch the first signal; the second one ends the process at once, as if nothing had caught it."""
    request = Request()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        request.asked = True
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
