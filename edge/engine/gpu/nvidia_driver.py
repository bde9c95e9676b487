"""The NVIDIA driver by its own calls: which GPU this machine has, and CUDA graphs.

The GPU can be told without PyCUDA and without TensorRT; of graphs PyCUDA has none. Symbols as in cuda.h from CUDA 11.4 on.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.engine_files import GpuIdentity
from edge.contracts.errors import EngineError
from edge.engine.gpu.base import CaptureRefused, Stream

LIBRARY = "libcuda.so.1"
_VERSION_FILE = Path("/sys/module/nvidia/version")
# Values of CUdevice_attribute in cuda.h; they are part of the driver's binary interface.
_SM_COUNT, _MAJOR, _MINOR = 16, 75, 76

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


class NoDriver(EngineError):
    """There is no NVIDIA driver, and nobody expects a GPU. Any other `EngineError` of this file is a GPU that fails."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first GPU of this machine and its driver."""

    identity: GpuIdentity
    cuda_version: str
    """newest CUDA the driver serves, as 13.0"""
    driver_version: str | None
    """release of the kernel driver; None where the system does not tell"""
    memory_bytes: int


def find_gpu(library: str = LIBRARY) -> Gpu:
    """Ask the driver for GPU 0, without making a context. Raises `NoDriver`, or `EngineError` with what is wrong."""
    try:
        driver = ctypes.CDLL(library)
    except OSError as problem:
        raise NoDriver(
            f"this machine has no NVIDIA driver ({library} cannot be loaded); install it, or use the engine openvino."
        ) from problem
    _asked(driver, "cuInit", 0)
    number, version = ctypes.c_int(), ctypes.c_int()
    _asked(driver, "cuDeviceGetCount", ctypes.byref(number))
    if number.value == 0:
        raise EngineError("the NVIDIA driver sees no GPU; check `nvidia-smi` and, in a container, that the GPU is passed on.")
    _asked(driver, "cuDriverGetVersion", ctypes.byref(version))
    device = ctypes.c_int()
    _asked(driver, "cuDeviceGet", ctypes.byref(device), 0)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    _asked(driver, "cuDeviceGetName", name, len(name), device)
    _asked(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    return Gpu(
        identity=GpuIdentity(
            name=name.value.decode(errors="replace"),
            compute_capability=f"{_attribute(driver, device, _MAJOR)}.{_attribute(driver, device, _MINOR)}",
            sm_count=_attribute(driver, device, _SM_COUNT),
        ),
        cuda_version=f"{version.value // 1000}.{version.value % 1000 // 10}",
        driver_version=_VERSION_FILE.read_text(encoding="ascii").strip() if _VERSION_FILE.is_file() else None,
        memory_bytes=memory.value,
    )


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


def _attribute(driver: ctypes.CDLL, device: ctypes.c_int, which: int) -> int:
    value = ctypes.c_int()
    _asked(driver, "cuDeviceGetAttribute", ctypes.byref(value), which, device)
    return value.value


def _asked(driver: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = getattr(driver, name)(*arguments)
    if status != 0:
        raise EngineError(
            f"the NVIDIA driver refuses {name} (CUresult {status}); check `nvidia-smi`, and restart the machine after a "
            "driver update."
        )
