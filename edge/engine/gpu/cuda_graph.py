"""CUDA graphs by the driver's own calls: PyCUDA has none. Symbols as in cuda.h from CUDA 11.4 on."""

import ctypes
from collections.abc import Callable
from contextlib import suppress

from edge.contracts.errors import EngineError
from edge.engine.gpu.base import CaptureRefused, Stream
from edge.engine.gpu.nvidia_driver import LIBRARY

_THREAD_LOCAL = 1
"""CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: calls of other threads neither join the capture nor break it."""

_VOID = ctypes.c_void_p
CALLS: dict[str, list[type]] = {
    "cuStreamBeginCapture_v2": [_VOID, ctypes.c_int],
    "cuStreamEndCapture": [_VOID, ctypes.POINTER(_VOID)],
    "cuGraphInstantiateWithFlags": [ctypes.POINTER(_VOID), _VOID, ctypes.c_ulonglong],
    "cuGraphLaunch": [_VOID, _VOID],
    "cuGraphDestroy": [_VOID],
    "cuGraphExecDestroy": [_VOID],
}


class CudaGraphs:
    """Captures into graphs, in the CUDA context that is current in this thread."""

    def __init__(self, library: str = LIBRARY) -> None:
        """Raises `EngineError` when the driver has no graphs."""
        try:
            driver = ctypes.CDLL(library)
            self._calls = {name: getattr(driver, name) for name in CALLS}
        except (OSError, AttributeError) as problem:
            raise EngineError(f"the NVIDIA driver has no CUDA graphs ({problem}); install driver 470 or newer.") from problem
        for name, call in self._calls.items():
            call.argtypes, call.restype = CALLS[name], ctypes.c_int

    def capture(self, stream: Stream, work: Callable[[], None]) -> "CudaGraph":
        """Raises `CaptureRefused` when the driver, or the work itself, refuses."""
        self._allowed("cuStreamBeginCapture_v2", stream.handle, _THREAD_LOCAL)
        graph, executable = _VOID(), _VOID()
        try:
            work()
        except BaseException as problem:
            # Whatever the stream captured so far is thrown away, or the stream would stay in capture for ever.
            self._calls["cuStreamEndCapture"](stream.handle, ctypes.byref(graph))
            if graph:
                self._calls["cuGraphDestroy"](graph)
            if isinstance(problem, EngineError):
                raise CaptureRefused(str(problem)) from problem
            raise
        self._allowed("cuStreamEndCapture", stream.handle, ctypes.byref(graph))
        try:
            self._allowed("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, 0)
        finally:
            self._calls["cuGraphDestroy"](graph)
        return CudaGraph(self, executable)

    def call(self, name: str, *arguments: object) -> None:
        """Raises `EngineError` when the driver refuses."""
        if status := self._calls[name](*arguments):
            raise EngineError(f"the GPU failed in {name} (CUresult {status}); see the kernel's log for Xid messages.")

    def _allowed(self, name: str, *arguments: object) -> None:
        if status := self._calls[name](*arguments):
            raise CaptureRefused(f"{name} gave CUresult {status}")


class CudaGraph:
    """An instantiated graph."""

    def __init__(self, graphs: CudaGraphs, executable: ctypes.c_void_p) -> None:
        self._graphs = graphs
        self._executable = executable

    def launch(self, stream: Stream) -> None:
        """Raises `EngineError` when the driver refuses."""
        self._graphs.call("cuGraphLaunch", self._executable, stream.handle)

    def close(self) -> None:
        executable, self._executable = self._executable, _VOID()
        with suppress(EngineError):  # a lost device cannot give it back, and nothing is lost by that
            if executable:
                self._graphs.call("cuGraphExecDestroy", executable)
