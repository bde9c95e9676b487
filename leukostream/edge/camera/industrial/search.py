"""Looking for a camera that was lost: when, for how long, and without holding up what goes on meanwhile."""

import threading
import time
from collections.abc import Callable, Sequence

from leukostream.edge.camera.industrial.device import CameraDevice
from leukostream.edge.contracts.errors import SourceError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 5.0


class Search:
    """Waits twice as long from attempt to attempt, and gives up `lost_s` after the loss.

    A camera that can be opened and then gives no frame counts as lost all the time.
    """

    LONGEST_SILENCE_S = 4.0
    """An attempt that takes longer says that it is still going on, so that nobody takes the source for dead."""

    def __init__(self, lost_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lost_s = lost_s
        self._clock = clock
        self._since_s: float | None = None
        self._due_s = 0.0
        self._wait_s = FIRST_WAIT_S
        self._frames_prove = False
        self.why = ""

    def begin(self, why: str, frames_prove: bool = False) -> None:
        """The camera was lost; `frames_prove`: it answered all the time, and only a frame proves that it works.

        The first attempt follows at once, unless it gave nothing since the last one.
        """
        self.why, self._frames_prove = why.rstrip("."), frames_prove
        now_s = self._clock()
        if self._since_s is None:
            self._since_s, self._due_s, self._wait_s = now_s, now_s, FIRST_WAIT_S
        else:
            self._due_s = now_s + self._next_wait_s()

    def is_due(self) -> bool:
        return self._clock() >= self._due_s

    def due_in_s(self) -> float:
        return max(0.0, self._due_s - self._clock())

    def is_over(self) -> bool:
        """Whether it was looked for long enough."""
        return self._clock() - (self._since_s or self._clock()) > self._lost_s or not self._lost_s

    def failed(self, why: str) -> str:
        """An attempt has failed; says when the next one follows."""
        wait_s = self._next_wait_s()
        self._due_s = self._clock() + wait_s
        return f"{why.rstrip('.')}; the next attempt follows in {wait_s:g} s."

    def answered(self) -> None:
        """It has answered a question; without a trigger no frame can prove that it is back."""
        if not self._frames_prove:
            self.succeeded()

    def lost_for_s(self) -> float:
        """Seconds since the loss."""
        return self._clock() - (self._since_s or self._clock())

    def succeeded(self) -> None:
        """A frame has come."""
        self._since_s = None

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
