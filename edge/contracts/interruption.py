"""What Ctrl-C, SIGTERM and SIGHUP do to every command that has no answer of its own: it undoes what is half done, and ends.

A command that can stop in good order (a run, a recording, a training) takes the signals over while it works. All others are
broken off where they are, by an exception that nobody catches but the end of the command, so that every `with` and `finally`
on the way is passed: half a file is removed, a process that was started is ended.

A further signal ends the process at once, wherever it is. One that comes with the first is none: `timeout` and batch systems
send theirs to a process and to its group, and a terminal that is closed sends several.

Imports only what the interpreter has loaded anyway: from its first line on nobody sees a traceback for having pressed Ctrl-C.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a command to end; not every system has all of them."""
_SAME_S = 0.5
"""Signals that are no further apart are one."""
_HARD = (signal.SIGINT, signal.SIGTERM)
_LIBRARY = "<frozen importlib"
_LOADING = frozenset({"__main__", "cli", "command_list", "commands", "entry_point"})
"""Modules and packages that load what does the work before any of it is done."""


class Interrupted(BaseException):
    """A signal has broken a command off. No `Exception`: nothing on its way may take it for a failure of its own."""


class Interruption:
    """The signal that came first, if any: what it broke off may have ended in another exception than `Interrupted`."""

    number: int | None = None


def exit_code_of(number: int) -> int:
    """As shells count a process that a signal has ended: 130, 143, 129."""
    return 128 + number


def farewell(number: int) -> str:
    """One sentence; none for Ctrl-C, which whoever pressed it knows of."""
    return "" if number == signal.SIGINT else f"stopped: {signal.Signals(number).name} was received."


class FurtherSignals:
    """What comes after a signal that is being heeded: another SIGINT or SIGTERM ends the process at once."""

    def __init__(self) -> None:
        self._writing = -1

    def end_the_process(self) -> None:
        """From now on, wherever its main thread is; in its handler."""
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, lambda *_: None)
        if self._writing < 0:
            reading, self._writing = os.pipe()
            os.set_blocking(self._writing, False)
            signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
            threading.Thread(
                target=_await_further, args=(reading, time.monotonic()), name="further-signals", daemon=True
            ).start()

    def close(self) -> None:
        """Let them do again what their handlers say. Safe to repeat."""
        if self._writing >= 0:
            signal.set_wakeup_fd(-1)
            os.close(self._writing)
            self._writing = -1


def _await_further(reading: int, since_s: float) -> None:
    while numbers := os.read(reading, 64):
        for number in numbers:
            if number in _HARD and time.monotonic() - since_s > _SAME_S:
                os._exit(exit_code_of(number))
    os.close(reading)


@contextmanager
def heeding_signals() -> Iterator[Interruption]:
    """Within, the first signal raises `Interrupted`, or ends the process at once while a command is only being imported.

    Nothing would have to be undone there, and libraries catch whatever is raised. What this process was told to ignore (nohup)
    it ignores. In another thread than the main one nothing is heeded.
    """
    came, further = Interruption(), FurtherSignals()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if _only_loading(frame):
            _leave(number)
        came.number = number
        further.end_the_process()
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    heeded = [number for number, was in before.items() if was not in (signal.SIG_IGN, None)]
    for number in heeded:
        signal.signal(number, handle)
    try:
        yield came
    finally:
        further.close()
        for number in heeded:
            signal.signal(number, before[number])


def leave_on_signals() -> None:
    """From now on a signal ends the process without a word: all is done, and the interpreter clears up. Main thread only."""
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, lambda number, _: os._exit(exit_code_of(number)))


def _only_loading(frame: FrameType | None) -> bool:
    """Whether what was broken off is an import that a command, or the list of commands, has begun."""
    began = ""
    while frame is not None:
        before = frame.f_back
        if before is not None and frame.f_code.co_filename.startswith(_LIBRARY):
            began = str(before.f_globals.get("__name__", ""))
        frame = before
    return began == "importlib" or not _LOADING.isdisjoint(began.split("."))


def _leave(number: int) -> None:
    if said := farewell(number):
        with suppress(OSError):
            os.write(2, f"{said}\n".encode())
    os._exit(exit_code_of(number))
