"""The sign of life of a service: to systemd in its own protocol, and to a watchdog of the process, by which it ends when stuck.

A heartbeat is given by the main function and only with progress: it comes round, records are produced where any are due, the
stream's thread comes round, too, and no thread was abandoned. Without one the process ends as a whole, with the traceback of
every thread on standard error, and whoever supervises it starts it again: nothing is repaired in a process of which a part is
stuck.

The process's own watchdog is faulthandler's, which needs neither the interpreter's lock nor a thread that can be held up.
"""

import faulthandler
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

OPENING_S = 300.0
"""Camera and engine may take so long to open: an engine may be compiled for this GPU then."""
_SHARE = 4
"""Heartbeats are given so many times as often as they are due."""
_log = logging.getLogger(__name__)


class Heartbeat:
    """Silent until `begin`. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._address: str | None = None
        self._limit_s = 0.0
        self._given_s = float("-inf")
        self._is_opening = True
        self._is_ready = False
        self._stuck = ""
        self._abandoned: list[tuple[Callable[[], bool], str, float]] = []

    def begin(self, watchdog_s: float, environment: Mapping[str, str] = os.environ) -> None:
        """From now on the process ends when no heartbeat is given for `watchdog_s`, or `OPENING_S` while it opens things."""
        self._limit_s = watchdog_s
        self._address = environment.get("NOTIFY_SOCKET")
        self.beat(opening=True)

    @contextmanager
    def during(self, watchdog_s: float, environment: Mapping[str, str]) -> Iterator[None]:
        """From `begin` to `end`; a supervisor that gives up and sends SIGABRT gets every thread's traceback, too."""
        with suppress(RuntimeError, AttributeError, ValueError, OSError):
            faulthandler.enable(sys.__stderr__ or sys.stderr)
        self.begin(watchdog_s, environment)
        try:
            yield
        finally:
            self.end()

    def beat(self, *, opening: bool = False) -> None:
        """All is well, or is being opened."""
        if not self._limit_s or self._stuck:
            return
        now_s, changed = self._clock(), opening != self._is_opening
        limit_s = OPENING_S if opening else self._limit_s
        if not changed and now_s - self._given_s < self._limit_s / _SHARE:
            return
        for each in list(self._abandoned):
            hangs, what, since_s = each
            if not hangs():
                self._abandoned.remove(each)
            elif now_s - since_s > self._limit_s:
                self.stuck(f"{what} has not returned for {now_s - since_s:.0f} s")
                return
        self._is_opening, self._given_s = opening, now_s
        # systemd is a little slower, so that it finds the tracebacks of a process that has ended itself.
        self._notify("WATCHDOG=1", *([f"WATCHDOG_USEC={int(limit_s * 1.5e6)}"] if changed or not self._is_ready else []))
        with suppress(RuntimeError, AttributeError, ValueError, OSError):  # standard error is closed: systemd's stays
            faulthandler.dump_traceback_later(limit_s, exit=True, file=sys.__stderr__ or sys.stderr)

    def tells(self, state: str, reason: str) -> None:
        """How the service stands; it is ready for who starts it as soon as it is reachable and has found how it stands."""
        if state != "BOOT" and not self._is_ready:
            self._is_ready = True
            self._notify("READY=1")
        self._notify(f"STATUS={state}{f': {reason}' if reason else ''}".replace("\n", " "))

    def abandoned(self, hangs: Callable[[], bool], what: str) -> None:
        """A thread was left to itself: if it still hangs when a heartbeat would be missed, there is none any more."""
        if self._limit_s:
            self._abandoned.append((hangs, what, self._clock()))

    def stuck(self, why: str) -> None:
        """No heartbeat from now on: the process is to be ended as a whole."""
        if self._limit_s and not self._stuck:
            self._stuck = why
            _log.error(
                "no heartbeat any more: %s; this process ends within %.0f s and must be started again", why, self._limit_s
            )
            self._notify(f"STATUS=stuck: {why}")

    def end(self) -> None:
        """The process ends in good order."""
        if self._limit_s:
            self._limit_s = 0.0
            faulthandler.cancel_dump_traceback_later()
            self._notify("STOPPING=1")

    def _notify(self, *lines: str) -> None:
        """One datagram, as sd_notify(3) says; who does not listen is not waited for."""
        if not self._address:
            return
        place = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as caller:
            caller.setblocking(False)
            caller.sendto("\n".join(lines).encode(), place)


HEARTBEAT = Heartbeat()
"""The process's own."""


class Progress:
    """Whether a run comes on: nothing is due, or records are produced. `is_due` says whether any field is still to end."""

    def __init__(self, limit_s: float, is_due: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._is_due, self._clock = limit_s, is_due, clock
        self._since_s = clock()

    def made(self) -> None:
        """A record was produced."""
        self._since_s = self._clock()

    def lacking(self) -> str:
        """What does not come on, as a sentence part; empty while all is well."""
        now_s = self._clock()
        if not self._is_due():
            self._since_s = now_s
        silent_s = now_s - self._since_s
        return f"no record for {silent_s:.0f} s although fields are due" if silent_s > self._limit_s else ""
