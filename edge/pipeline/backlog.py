"""Holds the scanner back while too many records wait for their acknowledgement."""

import threading
from collections.abc import Callable

from edge.pipeline.arrivals import AdviceNote


class Backlog:
    """Advises `pause` above `limit` records, and `resume` once half of them are acknowledged. Safe for two threads."""

    def __init__(self, limit: int, advise: Callable[[AdviceNote], None], hold: Callable[[bool], None]) -> None:
        self._limit = limit
        self._advise = advise
        self._hold = hold
        self._paused = False
        self._lock = threading.Lock()

    def look(self, waiting: int) -> None:
        """So many records of the run are journalled and not acknowledged."""
        with self._lock:
            if self._paused == (waiting > (self._limit // 2 if self._paused else self._limit)):
                return
            self._paused = not self._paused
            self._hold(self._paused)
            if self._paused:
                reason = f"{waiting} records wait for their acknowledgement; nothing is lost, but expose no further field yet."
                self._advise(AdviceNote("pause", reason))
            else:
                self._advise(AdviceNote("resume", f"{waiting} records wait for their acknowledgement."))
