"""Looking for a camera that was lost: when, for how long, and without holding up what goes on meanwhile."""

import threading
import time
from collections.abc import Callable, Sequence

from edge.camera.industrial.camera_device import CameraDevice
from edge.contracts.errors import SourceError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0
LONGEST_SILENCE_S = 4.0
"""An attempt that takes longer says that it is still going on, so that nobody takes the source for dead."""


class Search:
    """Waits twice as long from attempt to attempt, and gives up when the camera was away for `lost_s`.

    All its losses count together until it has proved itself, so that one that can be opened and is lost again is not looked for
    for ever. Time in which it was there does not count.
    """

    def __init__(self, lost_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lost_s = lost_s
        self._clock = clock
        self._before_s = 0.0
        self._since_s: float | None = None
        self._due_s = 0.0
        self._wait_s = FIRST_WAIT_S
        self.why = ""

    def begin(self, why: str, silent_s: float = 0.0) -> None:
        """The camera was lost, and had been of no use for `silent_s` before.

        After a good time the first attempt follows at once.
        """
        now_s = self._clock()
        again = self._before_s > 0
        self.why, self._since_s = why.rstrip("."), now_s - silent_s
        self._due_s = now_s + (self._next_wait_s() if again else 0.0)

    def is_due(self) -> bool:
        return self._clock() >= self._due_s

    def due_in_s(self) -> float:
        return max(0.0, self._due_s - self._clock())

    def lost_for_s(self) -> float:
        """Seconds since the loss; 0 when it is there."""
        return 0.0 if self._since_s is None else self._clock() - self._since_s

    def is_over(self) -> bool:
        """Whether it was looked for long enough."""
        return self._since_s is not None and (not self._lost_s or self._before_s + self.lost_for_s() > self._lost_s)

    def failed(self, why: str) -> str:
        """An attempt has failed; says when the next one follows."""
        wait_s = self._next_wait_s()
        self._due_s = self._clock() + wait_s
        return f"{why.rstrip('.')}; the next attempt follows in {wait_s:g} s."

    def opened(self) -> float:
        """It could be opened: seconds since the loss."""
        lost_for_s = self.lost_for_s()
        self._before_s, self._since_s = self._before_s + lost_for_s, None
        return lost_for_s

    def succeeded(self) -> None:
        """It has proved that it works."""
        self._before_s, self._wait_s = 0.0, FIRST_WAIT_S

    def _next_wait_s(self) -> float:
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        return wait_s


class Attempt:
    """Opens a camera in a thread of its own, when those of `after` have ended: a driver may take seconds to find that nothing
    answers."""

    def __init__(self, open_device: Callable[[float], CameraDevice], after: Sequence[threading.Thread] = ()) -> None:
        self._open = open_device
        self._after = list(after)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._device: CameraDevice | None = None
        self._problem: SourceError | None = None
        # A driver that never returns must not keep the process alive.
        threading.Thread(target=self._run, name="camera-search", daemon=True).start()

    def result(self, timeout_s: float) -> CameraDevice | None:
        """The open camera, None while it is not known yet. Raises `SourceError` when it cannot be opened."""
        if not self._done.wait(timeout_s):
            return None
        if self._problem is not None:
            raise self._problem
        return self._device

    def abandon(self) -> None:
        """Nobody waits any longer; a camera that is found all the same is let go of."""
        with self._lock:
            self._abandoned = True
            if self._device is not None:
                self._device.close()

    def _run(self) -> None:
        for closer in self._after:
            closer.join()  # a camera has one master: the former one must have let go
        try:
            device = self._open(0.0)
        except SourceError as problem:
            self._problem = problem
        except Exception as problem:  # noqa: BLE001 a driver may raise anything, and the search must go on
            self._problem = SourceError(f"it cannot be opened ({type(problem).__name__}: {problem})")
        else:
            with self._lock:
                self._device = device
                if self._abandoned:
                    device.close()
        self._done.set()
