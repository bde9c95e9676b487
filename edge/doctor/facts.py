"""What `leuko-edge doctor` finds installed: one fact per piece, and a piece that is broken is a fact, too."""

import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge.contracts.engine_files import RUNTIME_NAMES
from edge.contracts.errors import SourceError, first_line
from edge.contracts.version import VERSION
from edge.engine.machine import Found, Machine

OPENVINO = "OpenVINO"
_TEGRA = Path("/etc/nv_tegra_release")
_JETPACKS = {"35": "5", "36": "6", "38": "7"}
"""Major release of Jetson Linux to that of JetPack."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A piece of this machine. `text` says what it is or, when it is not `usable`, why not."""

    name: str
    text: str
    usable: bool = True


def find_facts(machine: Machine) -> list[Fact]:
    """Never raises, whatever is broken."""
    return [
        Fact("leukostream", VERSION),
        probe("Python", lambda: f"{platform.python_version()} at {sys.executable}"),
        probe("system", _system),
        *([probe("Jetson", lambda: jetson_release(_TEGRA))] if _TEGRA.exists() else []),
        probe("CPU", _cpu),
        probe(OPENVINO, _openvino),
        _gpu(machine),
        *_driver(machine),
        *(_fact(name, machine.runtimes[runtime]) for runtime, name in RUNTIME_NAMES.items() if runtime in machine.runtimes),
        _fact("PyCUDA", machine.pycuda),
        probe("OpenCV", _opencv),
        *_camera_drivers(),
        probe("ZeroMQ", _zeromq),
    ]


def probe(name: str, look: Callable[[], str]) -> Fact:
    """What `look` tells; an exception becomes the fact's text."""
    try:
        return Fact(name, look())
    except Exception as problem:  # noqa: BLE001 one broken piece must not hide the others
        return Fact(name, f"cannot be used ({type(problem).__name__}: {first_line(problem)})", usable=False)


def jetson_release(file: Path) -> str:
    """Release of Jetson Linux (L4T), as that file has it, and of JetPack, as far as the first tells."""
    first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", first)
    if not found:
        return first.strip("# ") or f"{file} says nothing"
    jetpack = _JETPACKS.get(found[1])
    return f"L4T {found[1]}.{found[2]}" + (f", JetPack {jetpack}" if jetpack else "")


def gstreamer_of(build_information: str) -> str:
    """What OpenCV's report of its build says of GStreamer; it has no function for it."""
    found = re.search(r"^\s*GStreamer:\s*(\S.*?)\s*$", build_information, flags=re.MULTILINE)
    said = found[1] if found else "NO"
    return "without GStreamer" if said.startswith("NO") else f"with GStreamer {said.removeprefix('YES').strip(' ()')}".rstrip()


def _fact(name: str, found: Found) -> Fact:
    return Fact(name, found.missing or found.version, usable=not found.missing)


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()}, {platform.machine()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):  # Windows and macOS have no such file
        return kernel


def _cpu() -> str:
    total = os.cpu_count() or 1
    # A container or taskset may leave fewer; macOS cannot tell.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    return f"{usable} of {total} cores for this process"


def _openvino() -> str:
    # Imported here: when it is broken this line says so, and the command goes on.
    from edge.engine.openvino import look_at_cpu  # noqa: PLC0415

    version, device, precision = look_at_cpu()
    return f"{version} on {device}, computes in {precision}"


def _gpu(machine: Machine) -> Fact:
    if machine.gpu is None:
        return Fact("GPU", f"none: {machine.missing_gpu}", usable=False)
    gpu = machine.gpu.identity
    memory = f"{machine.gpu.memory_bytes / 2**30:.1f} GiB"
    return Fact("GPU", f"{gpu.name}, compute capability {gpu.compute_capability}, {gpu.sm_count} SMs, {memory}")


def _driver(machine: Machine) -> list[Fact]:
    if machine.gpu is None:
        return []
    release = machine.gpu.driver_version or "of a release that the system does not tell"
    return [Fact("NVIDIA driver", f"{release}, serves CUDA up to {machine.gpu.cuda_version}")]


def _opencv() -> str:
    import cv2  # noqa: PLC0415 see _openvino

    return f"{cv2.__version__} ({Path(cv2.__file__).parent}), {gstreamer_of(cv2.getBuildInformation())}"


def _camera_drivers() -> list[Fact]:
    """What the sources `aravis:`, `pylon:` and `genicam:` need; without it there is only their absence to tell."""
    facts = []
    for name, scheme, look in (("libaravis", "aravis", _aravis), ("pypylon", "pylon", None), ("harvesters", "genicam", None)):
        try:
            facts.append(Fact(name, look() if look else version(name)))
        except SourceError as missing:
            facts.append(Fact(name, f"{missing} Only {scheme}: cameras need it.", usable=False))
        except PackageNotFoundError:
            needs = f'not installed; only {scheme}: cameras need it (pip install "leukostream[{scheme}]")'
            facts.append(Fact(name, needs, usable=False))
        except Exception as problem:  # noqa: BLE001 one broken piece must not hide the others
            facts.append(Fact(name, f"cannot be used ({type(problem).__name__}: {first_line(problem)})", usable=False))
    return facts


def _aravis() -> str:
    from edge.camera.aravis.library import aravis  # noqa: PLC0415 see _openvino

    return ".".join(str(aravis()(f"arv_get_{part}_version")) for part in ("major", "minor", "micro"))


def _zeromq() -> str:
    import zmq  # noqa: PLC0415 see _openvino

    return f"libzmq {zmq.zmq_version()}, pyzmq {zmq.__version__}, {'with' if zmq.has('curve') else 'without'} CURVE"
