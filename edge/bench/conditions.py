"""The conditions of a measurement: without them its numbers mean nothing, and two of them cannot be compared."""

import os
import platform
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge.contracts.bundle import MODEL, Bundle
from edge.contracts.errors import LeukoError
from edge.contracts.version import VERSION
from edge.engine.base import EngineInfo
from edge.engine.gpu.nvidia_driver import find_gpu
from edge.engine.machine import usable_cores

_PACKAGES = ("openvino", "opencv-python", "numpy", "pyzmq", "pydantic", "msgpack", "tensorrt", "tensorrt-rtx-cu13", "pycuda")
_CPU = Path("/sys/devices/system/cpu")
_ASK_S = 5.0
_BUSY_SHARE = 0.25
"""Of the cores, that others had to themselves over the last minute: more, and the figures are of a machine that shares."""


def conditions() -> dict[str, Any]:
    """Of this machine and process, as they are now."""
    load = os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)
    return {
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "leukostream": VERSION,
        "command": " ".join(sys.argv[1:]),
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "cpu_mhz": _numbers("cpu0/cpufreq/scaling_cur_freq", 1e-3),
        "cpu_governor": _text(_CPU / "cpu0/cpufreq/scaling_governor"),
        "load_before": load[0],
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "gpu": _gpu(),
    }


def of_case(bundle: Bundle, info: EngineInfo, threads: int | None) -> dict[str, Any]:
    """Of one open engine."""
    return {
        "bundle": bundle.manifest.name,
        "bundle_id": bundle.bundle_id,
        "model_sha256": bundle.manifest.files[MODEL],
        "weights_are_trained": bundle.manifest.training.trained,
        "engine": str(info),
        "runtime": info.runtime,
        "precision": info.precision,
        "hint": info.hint,
        "engine_key": info.key,
        "plan_sha256": info.plan_sha256,
        "parity": info.parity,
        "frame_px": [info.frame_width_px, info.frame_height_px],
        "max_batch": info.max_batch,
        "slots": info.slots,
        "threads": threads,
    }


def doubt_of(found: dict[str, Any]) -> str:
    """What speaks against these conditions; empty when nothing is known to."""
    if found["load_before"] > _BUSY_SHARE * found["cores"]:
        return (
            f"other work kept {found['load_before']:.1f} of {found['cores']} cores busy when this began: ratios of what took "
            "turns stand, absolute times do not; measure again on a quiet machine."
        )
    return ""


def _gpu() -> dict[str, Any] | None:
    try:
        gpu = find_gpu()
    except LeukoError:
        return None
    here = gpu.identity
    return {
        "name": here.name,
        "compute_capability": here.compute_capability,
        "sm_count": here.sm_count,
        "driver": gpu.driver_version,
        "cuda": gpu.cuda_version,
        "clocks": _gpu_clocks(),
    }


def _gpu_clocks() -> str | None:
    """Of the processors and the memory now, as NVIDIA's own tool says; None where it says nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    words = [program, "--query-gpu=clocks.sm,clocks.mem", "--format=csv,noheader"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=_ASK_S, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def _memory_gb() -> float | None:
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemTotal"):
            return round(int(line.split()[1]) / 1e6, 1)
    return None


def _numbers(name: str, factor: float) -> float | None:
    text = _text(_CPU / name)
    return int(text) * factor if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
