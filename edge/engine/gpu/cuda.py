"""The accelerator through PyCUDA."""

import atexit
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edge.contracts.errors import EngineError
from edge.engine.gpu.base import Event, Stream
from edge.engine.gpu.nvidia_driver import CudaGraph, CudaGraphs

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING in cuda.h; PyCUDA has no name for it."""

_primary: dict[int, Any] = {}


class CudaEvent:
    """PyCUDA's event; without timing it costs least."""

    def __init__(self, cuda: ModuleType, timed: bool) -> None:
        self._cuda = cuda
        self.raw = cuda.Event(cuda.event_flags.DEFAULT if timed else cuda.event_flags.DISABLE_TIMING)

    def is_done(self) -> bool:
        with _failing(self._cuda, "run a batch"):
            return bool(self.raw.query())


class CudaStream:
    """PyCUDA's stream; it never waits for the default stream."""

    def __init__(self, cuda: ModuleType) -> None:
        self.raw = cuda.Stream(_NON_BLOCKING)
        self.handle = int(self.raw.handle)


class CudaDevice:
    """`Device` in the GPU's primary context, which TensorRT and torch use too, current in the thread that opened it."""

    def __init__(self, ordinal: int = 0) -> None:
        """Raises `EngineError` when PyCUDA or the driver is missing, or the GPU cannot be used."""
        self._cuda = cuda = load_pycuda()
        with _failing(cuda, "open its primary context"):
            cuda.init()
            device = cuda.Device(ordinal)
            self._name: str = device.name()
            self._graphs = CudaGraphs()
            self._context = _primary_context(ordinal, device)
            self._context.push()  # the last step: whoever fails after it must pop
        self._allocations: list[Any] = []
        self._pinned: list[NDArray[Any]] = []

    @property
    def name(self) -> str:
        return self._name

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        with _failing(self._cuda, f"lock {_mib(shape, dtype):.0f} MiB of the computer's memory"):
            array: NDArray[Any] = self._cuda.pagelocked_empty(shape, dtype)
        array[...] = 0
        self._pinned.append(array)
        return array

    def allocate(self, n_bytes: int) -> int:
        with _failing(self._cuda, f"allocate {n_bytes / 2**20:.0f} MiB of its memory"):
            allocation = self._cuda.mem_alloc(n_bytes)
        self._allocations.append(allocation)
        return int(allocation)

    def stream(self) -> CudaStream:
        with _failing(self._cuda, "make a stream"):
            return CudaStream(self._cuda)

    def event(self, *, timed: bool = False) -> CudaEvent:
        with _failing(self._cuda, "make an event"):
            return CudaEvent(self._cuda, timed)

    def elapsed_ms(self, start: Event, end: Event) -> float:
        with _failing(self._cuda, "tell the time of a batch"):
            return float(_raw(end).time_since(_raw(start)))

    def record(self, event: Event, stream: Stream) -> None:
        with _failing(self._cuda, "mark the end of a batch"):
            _raw(event).record(_raw(stream))

    def wait(self, stream: Stream, event: Event) -> None:
        with _failing(self._cuda, "order two streams"):
            _raw(stream).wait_for_event(_raw(event))

    def copy_in(self, address: int, source: NDArray[Any], stream: Stream) -> None:
        with _failing(self._cuda, "take frames"):
            self._cuda.memcpy_htod_async(address, source, _raw(stream))

    def copy_out(self, target: NDArray[Any], address: int, stream: Stream) -> None:
        with _failing(self._cuda, "give results"):
            self._cuda.memcpy_dtoh_async(target, address, _raw(stream))

    def capture(self, stream: Stream, work: Callable[[], None]) -> CudaGraph:
        return self._graphs.capture(stream, work)

    def close(self) -> None:
        """PyCUDA aborts the process when a context is still current at its end, so it is popped whatever happens before."""
        try:
            with _failing(self._cuda, "free its memory"):
                for allocation in self._allocations:
                    allocation.free()
        finally:
            self._allocations.clear()
            self._pinned.clear()
            self._context.pop()

    def abandon(self, *users: object) -> None:
        """One reference is given away for good: destructors would free what the device may still use, and wait for it."""
        atexit.unregister(self._context.detach)
        for held in (self, *users):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(held))
        with suppress(self._cuda.Error):  # the failure that led here is the one to tell
            self._context.pop()


def _primary_context(ordinal: int, device: Any) -> Any:  # noqa: ANN401 - what PyCUDA has no types for
    """Retained once and until the process ends: TensorRT keeps using it, and arrays of a closed device may still be freed."""
    if ordinal not in _primary:
        _primary[ordinal] = device.retain_primary_context()
        atexit.register(_primary[ordinal].detach)  # its destructor would release it as if it were no primary one
    return _primary[ordinal]


def load_pycuda() -> ModuleType:
    """PyCUDA's driver module. Raises `EngineError` with what is missing; importing it needs the driver's library."""
    try:
        import pycuda.driver  # noqa: PLC0415 - only a machine with a GPU can import it
    except ImportError as problem:
        raise EngineError(
            f"PyCUDA cannot be used here ({problem}); see docs/install-gpu.md, or use the engine openvino."
        ) from problem
    driver: ModuleType = pycuda.driver
    return driver


def _raw(mark: Event | Stream) -> Any:  # noqa: ANN401 - what PyCUDA has no types for
    if not isinstance(mark, CudaEvent | CudaStream):
        raise TypeError(f"{type(mark).__name__} belongs to another kind of device")
    return mark.raw


@contextmanager
def _failing(cuda: ModuleType, what: str) -> Iterator[None]:
    try:
        yield
    except cuda.MemoryError as problem:
        raise EngineError(
            f"the GPU has too little memory to {what} ({problem}); end other programs that use it, or run with a smaller "
            "--max-batch."
        ) from problem
    except cuda.Error as problem:
        raise EngineError(
            f"the GPU failed to {what} ({problem}); restart the edge, and see the kernel's log for Xid messages if it "
            "fails again."
        ) from problem


def _mib(shape: tuple[int, ...], dtype: DTypeLike) -> float:
    return float(np.prod(shape)) * np.dtype(dtype).itemsize / 2**20
