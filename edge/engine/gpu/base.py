"""What the engine asks of an accelerator. Everything is called by the one thread that opened it; failures raise `EngineError`.

Work given to a stream is done in order and later; streams run beside each other. An event marks a place in a stream.
"""

from collections.abc import Callable
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray


class Event(Protocol):
    """A mark in a stream."""

    def is_done(self) -> bool:
        """Whether everything before the mark is done. Raises `EngineError` when the device has failed or is lost."""
        ...


class Stream(Protocol):
    """A queue of work."""

    @property
    def handle(self) -> int:
        """What TensorRT takes as `stream_handle`."""
        ...


class Graph(Protocol):
    """Captured work: one launch gives all of it to a stream."""

    def launch(self, stream: Stream) -> None: ...

    def close(self) -> None: ...


class CaptureRefused(Exception):
    """The work cannot be captured; it can still be given to a stream piece by piece. The message says why."""


class Device(Protocol):
    """One accelerator, its memory and its streams."""

    @property
    def name(self) -> str:
        """For people, as in every run's provenance; an emulation says that it is one."""
        ...

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A page-locked array, zeroed. It stays where it is until `close`."""
        ...

    def allocate(self, n_bytes: int) -> int:
        """Device memory; returns its address. It is freed by `close`."""
        ...

    def stream(self) -> Stream:
        """A stream that never waits for the default stream."""
        ...

    def event(self, *, timed: bool = False) -> Event: ...

    def elapsed_ms(self, start: Event, end: Event) -> float:
        """Milliseconds between the marks of two timed events that are both done, by the device's own clock."""
        ...

    def record(self, event: Event, stream: Stream) -> None:
        """Mark the end of what the stream holds now."""
        ...

    def wait(self, stream: Stream, event: Event) -> None:
        """What the stream gets from now on is done after the event's mark. Does not block the caller."""
        ...

    def copy_in(self, address: int, source: NDArray[Any], stream: Stream) -> None:
        """Page-locked, contiguous `source` to the device. It is read later: do not write it before an event after it."""
        ...

    def copy_out(self, target: NDArray[Any], address: int, stream: Stream) -> None:
        """From the device into page-locked, contiguous `target`; to be read only after an event after it."""
        ...

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph:
        """Record what `work` gives to `stream` instead of doing it. Raises `CaptureRefused`."""
        ...

    def close(self) -> None:
        """Free everything. Only when no stream holds work."""
        ...

    def abandon(self, *users: object) -> None:
        """Let go of a device that failed: freeing its memory, or what `users` hold of it, could wait for ever.

        The process should end soon.
        """
        ...
