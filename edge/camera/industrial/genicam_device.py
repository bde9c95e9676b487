"""What the drivers of GenICam cameras do alike: they open with patience, configure, lend their buffers, begin anew and count.

A driver's room holds what is special about its library, in the same two files: `library.py` loads it, lists cameras, reaches
their features and turns what it raises into faults; `device.py` fills in the hooks of `GenicamDevice`, in the order they have
here.
"""

import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeVar

import numpy as np

from edge.camera.frame import Capabilities
from edge.camera.industrial.camera_device import CameraFault, Grabbed
from edge.camera.industrial.camera_options import GenicamOptions
from edge.camera.industrial.features import Features, capabilities, configure, read_back
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError, first_line

RETRY_S = 0.5
"""A camera that cannot be opened is tried again after so long."""
_Buffer = TypeVar("_Buffer")


class GenicamDevice(ABC):
    """Implements `CameraDevice`, but for `grab`. Opens its camera, for `open_s` seconds anew while it is not to be had.

    Raises `SourceError` when it is not there in time, or refuses its settings.
    """

    counts_exposures = True
    known_by = "address"
    """What to check in the source when a camera is not found."""
    settings: dict[str, str | float]
    capabilities: Capabilities

    def __init__(self, name: str, options: GenicamOptions, open_s: float) -> None:
        self._name = name
        self._options = options
        self._using, self._closed = threading.RLock(), False
        self._lender = Lender(options.buffers)
        self._counters = Counters()
        self._open(open_s)
        try:
            with self._faults():
                self._configure(self._features())
                self._begin()
        except (CameraFault, ValueError) as problem:
            self.close()
            raise SourceError(
                f"camera {name} refused its settings ({first_line(problem)}); check the options of the source."
            ) from problem

    def fire(self) -> None:
        """Expose by software."""
        with self._in_use():
            self._fire()

    @abstractmethod
    def grab(self, timeout_s: float) -> Grabbed | None:
        """The next buffer, None when none came in time. How a library waits is its own matter, and so is this."""

    def check(self) -> None:
        """Ask the camera for something, not what is known of it. Raises `CameraFault` when it no longer answers."""
        with self._in_use():
            self._check()

    def restart(self) -> None:
        """Begin the acquisition anew."""
        with self._in_use():
            self._counters.see(self._count())
            self._stop()
            self._begin()

    def statistics(self) -> dict[str, int]:
        """The driver's own counters since the camera was opened, also when it is closed; those that it has."""
        with suppress(CameraFault), self._in_use():
            self._counters.see(self._count())
        return self._counters.total()

    def close(self) -> None:
        """Let go of the camera; idempotent."""
        with self._using:
            self._closed = True
            self._close()

    @abstractmethod
    def _try_to_open(self) -> None:
        """Open the camera. Raises `CameraFault` with the reason why it cannot be had now."""

    def _cannot_open(self, open_s: float, reason: str) -> str:
        """What to say when it was not to be had for `open_s` seconds."""
        return (
            f"camera {self._name} cannot be opened within {open_s:g} s ({reason}); check its power, its cable and "
            f"{self.known_by}, and that no other program controls it."
        )

    @abstractmethod
    def _features(self) -> Features:
        """Those of the open camera."""

    def _configure(self, features: Features) -> None:
        """Set what was asked for, and read it back. A driver adds what it needs before the first acquisition."""
        configure(features, self._options)
        self.settings = read_back(features, self._options) | self._names()
        self.capabilities = capabilities(features, timestamps=self._has_clock())

    def _names(self) -> dict[str, str | float]:
        """Vendor, model and serial number where the library knows them better than the features."""
        return {}

    def _has_clock(self) -> bool:
        """Whether every frame bears the camera's time; by both standards, GigE Vision and USB3 Vision, it does."""
        return True

    @abstractmethod
    def _begin(self) -> None:
        """Begin an acquisition; where the driver's counters begin with it, tell `_counters`."""

    @abstractmethod
    def _stop(self) -> None:
        """End the acquisition."""

    @abstractmethod
    def _fire(self) -> None: ...

    @abstractmethod
    def _check(self) -> None: ...

    @abstractmethod
    def _count(self) -> dict[str, int]:
        """What the driver counts now; nothing where it cannot tell."""

    @abstractmethod
    def _close(self) -> None:
        """Never raises, and may be called twice."""

    def _faults(self) -> AbstractContextManager[None]:
        """Makes `CameraFault` of what the library raises; where its calls do so already there is nothing to do."""
        return nullcontext()

    @abstractmethod
    def _read(self, buffer: Any) -> Grabbed:  # noqa: ANN401 - a library's object
        """What has come. Its status before its data: a failed buffer holds only a part, or nothing."""

    @abstractmethod
    def _give_back(self, buffer: Any) -> None:  # noqa: ANN401 - a library's object
        """The driver may fill it again. May be called in any thread, and after `close`."""

    def _lent(self, pixels: Image | None, buffer: Any) -> Image | None:  # noqa: ANN401 - a library's object
        """`pixels` as they lie in `buffer`, which goes back with the last image over them; where there are none, at once."""
        if pixels is None:
            self._give_back(buffer)
            return None
        return self._lender.lend(pixels, buffer, self._give_back)

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """One call at a time, and none after `close`: the library would be asked about memory that is no longer there, which
        ends the process."""
        with self._using:
            if self._closed:
                raise CameraFault("it was closed")
            with self._faults():
                yield

    def _open(self, open_s: float) -> None:
        deadline_s = time.monotonic() + open_s
        while True:
            try:
                with self._faults():
                    return self._try_to_open()
            except CameraFault as problem:
                reason = str(problem)
            if time.monotonic() > deadline_s:
                raise SourceError(self._cannot_open(open_s, reason))
            time.sleep(RETRY_S)


def short_of_bytes(n: int | None, needed: int) -> str:
    """The fault of a buffer that is said to be whole, and is not."""
    return f"it has {n} bytes and should have {needed}"


def padded_rows(n_bytes: int) -> str:
    """The fault of a buffer whose rows do not follow each other."""
    return f"its rows have {n_bytes} bytes of padding; choose another width"


class Lender:
    """Driver's buffers that images go on using, so that a frame is copied once: into the engine's slot.

    Lends at most half of a driver's `n_buffers`; beyond that a frame is copied, so that the camera never waits for us.
    `give_back` gets each buffer once, when no array over its pixels is left; in whatever thread that happens.
    """

    def __init__(self, n_buffers: int) -> None:
        self._most = n_buffers // 2
        self._lock = threading.Lock()
        self.lent = 0

    def lend(self, pixels: Image, buffer: _Buffer, give_back: Callable[[_Buffer], None]) -> Image:
        """`pixels`, which lie in `buffer`; or a copy of them, the buffer being given back already.

        Raises ValueError for a view of another array: views of it would belong to that one, and outlive it.
        """
        if isinstance(pixels.base, np.ndarray):
            raise ValueError("only the array directly over a buffer can be lent")
        with self._lock:
            may = self.lent < self._most
            self.lent += may
        if not may:
            copied = np.array(pixels)
            give_back(buffer)
            return copied
        weakref.finalize(pixels, self._returned, buffer, give_back).atexit = False
        return pixels

    def _returned(self, buffer: _Buffer, give_back: Callable[[_Buffer], None]) -> None:
        with self._lock:
            self.lent -= 1
        give_back(buffer)


class Counters:
    """What a driver counts, summed over acquisitions that each may begin at zero.

    Since the device was opened; the last values stand when the driver no longer tells them.
    """

    def __init__(self) -> None:
        self._before: Counter[str] = Counter()
        self._at_begin: Counter[str] = Counter()
        self._last: Counter[str] = Counter()

    def begin(self, now: Mapping[str, int]) -> None:
        """An acquisition has begun, and the driver's counters with it."""
        self._before = Counter(self.total())
        self._at_begin, self._last = Counter(now), Counter(now)

    def see(self, now: Mapping[str, int]) -> None:
        """What the driver says while it goes on; nothing where it cannot tell."""
        self._last.update({name: n - self._last[name] for name, n in now.items()})

    def total(self) -> dict[str, int]:
        """By name, in the driver's order."""
        return {name: self._before[name] + self._last[name] - self._at_begin[name] for name in {**self._before, **self._last}}
