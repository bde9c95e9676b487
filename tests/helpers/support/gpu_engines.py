"""Engines for the GPU of this machine, as tests and figures need them."""

from pathlib import Path

from builder.engine_build import BuildOptions, build_engine, prepare
from builder.images import read_images
from builder.progress_bars import ProgressWatch
from edge.contracts.bundle import Bundle
from edge.contracts.engine_files import EngineFiles, GpuRuntime
from edge.engine.machine import look_at_machine


def usable_runtimes() -> list[GpuRuntime] | str:
    """Runtimes that can run engines here; a sentence when this machine has no GPU, or nothing to use it with."""
    machine = look_at_machine()
    if machine.gpu is None:
        return machine.missing_gpu
    if machine.pycuda.missing:
        return machine.pycuda.missing
    found: list[GpuRuntime] = [runtime for runtime, here in machine.runtimes.items() if here.version]
    return found or "; ".join(here.missing for here in machine.runtimes.values())


def build_here(
    bundle: Bundle, engines: Path, runtime: GpuRuntime, width_px: int, height_px: int, max_batch: int
) -> EngineFiles:
    """Build for this machine's GPU, or find what was built before."""
    prepared = prepare(bundle, BuildOptions(runtime, width_px, height_px, max_batch))
    with ProgressWatch() as watch:
        return build_engine(prepared, engines, lambda: read_images(None, bundle, width_px, height_px, 2), watch)
