"""The processes that prepare samples: what signals and a small /dev/shm do to them, and what is said when one dies.

They must not die of what is meant for the training process: a service manager, a batch system and a closed terminal send their
signal to every process of a group. And their death must not break into a step: torch would raise it wherever the training
process is just then, with a network half updated.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from edge.contracts.errors import DataError

ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a training to stop; not every system has all of them."""

SHARED_MEMORY = "/dev/shm"

DIED = ("DataLoader worker", "shared memory", "No space left on device")


class SamplesLost(DataError):
    """No more samples come, and the network is as it was after the last step."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Start processes within: signals wait until they heed them as `heed_the_trainer` says, and torch's watch over them is put
    away, which raises the death of one at any place; it is noticed when the next samples are waited for."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    watch = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    except OSError as problem:
        raise SamplesLost(
            f"the processes that prepare samples cannot be started ({problem.strerror}); --set workers=0 does without."
        ) from problem
    finally:
        signal.signal(signal.SIGCHLD, watch if watch is not None else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heed_the_trainer(worker: int) -> None:
    """In a process that prepares samples: the training process alone decides when to stop, and its SIGTERM alone is heeded."""
    for number in ASKING:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(trainer: int) -> None:
    """A handler is not told who sent a signal; who waits for it is."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != trainer:
        pass
    os._exit(0)


def end_workers(stream: object) -> None:
    """End the processes behind a loader's iterator, if any. One that has hung since it was forked heeds no SIGTERM, and Python
    would wait for it at its own end for ever. Nothing they hold is lost: samples are drawn anew."""
    for worker in getattr(stream, "_workers", ()):
        worker.kill()


def room_to_share(size: int) -> bool:
    """Whether `size` bytes of images can be handed over in shared memory: a container may have 64 MB of it or less, and where
    it is full the process that writes to it is killed (SIGBUS)."""
    try:
        free = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):
        return True
    return free.f_bavail * free.f_frsize >= 2 * size


def samples_lost(problem: RuntimeError | OSError | EOFError) -> SamplesLost | None:
    """What to say when no samples come; None for a defect. An `EOFError` comes from a process that died while it handed over
    shared memory."""
    said = str(problem)
    if isinstance(problem, RuntimeError) and not any(sign in said for sign in DIED):
        return None
    why = (
        "as it does when memory runs out" if "shared memory" not in said and "Bus error" not in said else "for /dev/shm is full"
    )
    if isinstance(problem, EOFError):
        why = "while it handed them over"
    elif isinstance(problem, OSError):
        why = problem.strerror or type(problem).__name__
    return SamplesLost(f"a process that prepares samples died, {why}; lower `workers` and go on with --resume.")
