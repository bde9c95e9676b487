"""SIGINT and SIGTERM end a run in good order; the second one ends the process."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from edge.pipeline.stop import StopSwitch

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(stop: StopSwitch) -> Iterator[None]:
    """Within, a first signal throws the switch and gives the signals their default meaning back. Main thread only."""

    def handle(number: int, _: FrameType | None) -> None:
        stop.stop(f"{signal.Signals(number).name} was received")
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)

    before = [signal.signal(each, handle) for each in _SIGNALS]
    try:
        yield
    finally:
        for each, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(each, handler)
