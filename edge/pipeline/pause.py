"""A run that is held: PAUSE to CONTINUE, what it does to the source, and what the run's records say of it."""

import threading
from collections import deque

from edge.camera.frame import SourceNote


class Pause:
    """Set and ended by the stream's thread; the grabber asks `misses` or waits; the loop puts the notes on record.

    A source that waits to be read is not read while the run is held: nothing of it is missed. Frames that come all the same
    (`misses`) belong to no field; how many, the note at the end of the pause says, and `missed` at the end of the run.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held = False
        self._missed = 0
        self._missed_before = 0
        self._notes: deque[SourceNote] = deque()

    @property
    def held(self) -> bool:
        """Whether the run is paused; without a lock, since the loop asks at every step."""
        return self._held

    @property
    def missed(self) -> int:
        """Frames that came while the run was paused, over all pauses."""
        with self._changed:
            return self._missed

    def begin(self) -> None:
        """Hold the run; one that is held stays so."""
        with self._changed:
            if not self._held:
                self._held, self._missed_before = True, self._missed
                self._notes.append(SourceNote("paused", "the controller has paused the run; CONTINUE goes on with it."))

    def end(self, why: str = "the controller goes on with the run") -> None:
        """Go on; a run that is not held goes on anyway."""
        with self._changed:
            if not self._held:
                return
            self._held = False
            missed = self._missed - self._missed_before
            came = f"; {missed} frames that came during the pause were not taken in" if missed else ""
            self._notes.append(SourceNote("continued", f"{why}{came}.", "warning" if missed else "info"))
            self._changed.notify_all()

    def misses(self) -> bool:
        """A frame has come: whether it is to be dropped, and then it is counted."""
        if not self._held:
            return False
        with self._changed:
            self._missed += self._held
            return self._held

    def wait(self, timeout_s: float) -> bool:
        """Wait while the run is held, at most so long; whether it is held still."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held, timeout_s)
            return self._held

    def note(self) -> SourceNote | None:
        """The next thing to put on record; each is given once."""
        return self._notes.popleft() if self._notes else None
