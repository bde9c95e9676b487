"""What this machine can compute with: looked up once, told by `doctor`, and compared with every engine before it is loaded."""

import os
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import get_args

from edge.contracts.engine_files import RUNTIME_NAMES, GpuRuntime
from edge.contracts.errors import EngineError, first_line
from edge.engine.gpu.cuda import load_pycuda
from edge.engine.gpu.nvidia_driver import Gpu, NoDriver, find_gpu
from edge.engine.trt.runtime import is_installed, load_runtime


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of software: its version, or why it cannot be used."""

    version: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The GPU, the runtimes and PyCUDA of this machine. `missing_gpu` is empty when there is one."""

    gpu: Gpu | None
    missing_gpu: str = ""
    pycuda: Found = Found()
    runtimes: dict[GpuRuntime, Found] = field(default_factory=dict)
    gpu_fails: bool = False
    """there is a driver, and it refuses"""


def usable_cores() -> int:
    """Cores that this process may use: what OpenVINO takes when it is not told how many."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def look_at_machine(*, everything: bool = False) -> Machine:
    """Never raises: what is missing or broken is part of the answer.

    Without a GPU nothing can use PyCUDA and the runtimes, and they are not looked for unless `everything` is asked for.
    """
    gpu, missing_gpu, gpu_fails = None, "", False
    try:
        gpu = find_gpu()
    except Exception as problem:  # noqa: BLE001 - see _said
        missing_gpu, gpu_fails = _said("the NVIDIA driver", problem), not isinstance(problem, NoDriver)
    if gpu is None and not everything:
        nothing = Found(missing=missing_gpu)
        return Machine(None, missing_gpu, nothing, dict.fromkeys(get_args(GpuRuntime), nothing), gpu_fails)
    runtimes = {runtime: _runtime(runtime) for runtime in get_args(GpuRuntime)}
    return Machine(gpu, missing_gpu, _pycuda(), runtimes, gpu_fails)


def _pycuda() -> Found:
    try:
        load_pycuda()
        return Found(version=version("pycuda"))
    except Exception as problem:  # noqa: BLE001 - see _said
        return Found(missing=_said("PyCUDA", problem))


def _runtime(runtime: GpuRuntime) -> Found:
    try:
        if not is_installed(runtime):
            return Found(missing=f"the Python package {runtime} is not installed; see docs/install-gpu.md.")
        return Found(version=load_runtime(runtime).__version__)
    except Exception as problem:  # noqa: BLE001 - see _said
        return Found(missing=_said(RUNTIME_NAMES[runtime], problem))


def _said(what: str, problem: Exception) -> str:
    """Packages of which a library is missing or is another's raise anything when imported: that is the answer, and no crash."""
    if isinstance(problem, EngineError):
        return str(problem)
    return (
        f"{what} is broken here ({type(problem).__name__}: {first_line(problem)}); install it again, see docs/install-gpu.md."
    )
