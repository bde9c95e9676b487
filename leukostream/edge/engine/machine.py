"""What this machine can compute with: looked up once, told by `doctor`, and compared with every engine before it is loaded."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import get_args

from leukostream.edge.contracts.engine import GpuRuntime
from leukostream.edge.contracts.errors import EngineError
from leukostream.edge.engine.gpu.cuda import load_pycuda
from leukostream.edge.engine.gpu.driver import Gpu, find_gpu
from leukostream.edge.engine.trt.loading import is_installed, load_runtime


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


def look_at_machine(*, everything: bool = False) -> Machine:
    """Never raises: what is missing is part of the answer.

    Without a GPU nothing can use PyCUDA and the runtimes, and they are not looked for unless `everything` is asked for.
    """
    try:
        gpu, missing_gpu = find_gpu(), ""
    except EngineError as problem:
        gpu, missing_gpu = None, str(problem)
    if gpu is None and not everything:
        nothing = Found(missing=missing_gpu)
        return Machine(None, missing_gpu, nothing, dict.fromkeys(get_args(GpuRuntime), nothing))
    return Machine(gpu, missing_gpu, _pycuda(), {runtime: _runtime(runtime) for runtime in get_args(GpuRuntime)})


def _pycuda() -> Found:
    try:
        load_pycuda()
    except EngineError as problem:
        return Found(missing=str(problem))
    return Found(version=version("pycuda"))


def _runtime(runtime: GpuRuntime) -> Found:
    if not is_installed(runtime):
        return Found(missing=f"the Python package {runtime} is not installed; see docs/install-gpu.md.")
    try:
        return Found(version=load_runtime(runtime).__version__)
    except EngineError as problem:
        return Found(missing=str(problem))
