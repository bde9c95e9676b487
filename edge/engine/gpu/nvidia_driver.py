"""Which GPU this machine has, asked of the driver itself: it can be told without PyCUDA and without TensorRT."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

from edge.contracts.engine_files import GpuIdentity
from edge.contracts.errors import EngineError

LIBRARY = "libcuda.so.1"
_VERSION_FILE = Path("/sys/module/nvidia/version")
# Values of CUdevice_attribute in cuda.h; they are part of the driver's binary interface.
_SM_COUNT, _MAJOR, _MINOR = 16, 75, 76


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
    _call(driver, "cuInit", 0)
    number, version = ctypes.c_int(), ctypes.c_int()
    _call(driver, "cuDeviceGetCount", ctypes.byref(number))
    if number.value == 0:
        raise EngineError("the NVIDIA driver sees no GPU; check `nvidia-smi` and, in a container, that the GPU is passed on.")
    _call(driver, "cuDriverGetVersion", ctypes.byref(version))
    device = ctypes.c_int()
    _call(driver, "cuDeviceGet", ctypes.byref(device), 0)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    _call(driver, "cuDeviceGetName", name, len(name), device)
    _call(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
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


def _attribute(driver: ctypes.CDLL, device: ctypes.c_int, which: int) -> int:
    value = ctypes.c_int()
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(value), which, device)
    return value.value


def _call(driver: ctypes.CDLL, name: str, *arguments: object) -> None:
    status = getattr(driver, name)(*arguments)
    if status != 0:
        raise EngineError(
            f"the NVIDIA driver refuses {name} (CUresult {status}); check `nvidia-smi`, and restart the machine after a "
            "driver update."
        )
