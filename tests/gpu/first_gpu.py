"""`make gpu-test`: everything that a machine with a GPU can show, in order of worth, with what is there and no network.

    python tests/gpu/first_gpu.py [--wheels DIR ...] [--findings FILE] [--into DIR] [--limit-s 700]

Runs with Python's standard library. Each step names what it needs. What is installed already is used; what is not is taken from
the folders of --wheels, which may be partial ones; where a step lacks something it is skipped, with a sentence, and the next
one is tried. The findings are written after each step, so that an interruption loses none. Exit code: 0 when no step failed
and the GPU computed something, 1 otherwise.
"""

import argparse
import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE = {"numpy": "numpy", "opencv-python": "cv2", "pyzmq": "zmq", "pydantic": "pydantic", "openvino": "openvino",
    "typer": "typer", "rich": "rich", "pyyaml": "yaml", "msgpack": "msgpack", "prometheus-client": "prometheus_client",
    "cryptography": "cryptography", "tifffile": "tifffile", "simplejpeg": "simplejpeg", "av": "av", "onnx": "onnx",
    "onnxruntime": "onnxruntime", "scipy": "scipy", "pytest": "pytest", "pytest-timeout": "pytest_timeout",
    "psutil": "psutil", "hypothesis": "hypothesis"}  # fmt: skip
"""What each package is imported as; every one is asked for alone, so that one that is missing costs its own steps only."""


class Lacks(Exception):
    """One sentence: what a step needs that is not here."""


@dataclass
class Here:
    """The machine, and what earlier steps have made of it."""

    wheels: list[Path]
    into: Path
    findings: Path
    ends_at_s: float
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return self.into / "bin" / "python"

    def has(self, module: str) -> bool:
        return self.run([self.python, "-c", f"import {module}"], 120)[0] == 0

    def left_s(self) -> float:
        return self.ends_at_s - time.monotonic()

    def run(self, command: list[object], limit_s: float, **more: str) -> tuple[int, str]:
        """Exit code and the end of what was said; 124 when the time ran out."""
        paths = f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'helpers'}"
        env = {**os.environ, "PYTHONPATH": paths, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **more}
        words = [str(word) for word in command]
        try:
            ended = subprocess.run(
                words, cwd=ROOT, env=env, timeout=max(1.0, min(limit_s, self.left_s())), check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, f"it did not end within {min(limit_s, self.left_s()):.0f} s"
        except OSError as problem:
            return 127, str(problem)
        return ended.returncode, ended.stdout[-4000:]


def driver(here: Here) -> dict[str, Any]:
    """Needs the driver's libcuda.so.1, and a GPU that it sees."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as problem:
        raise Lacks(f"no NVIDIA driver: {problem}; install it, or pass the GPU into the container") from problem
    count = ctypes.c_int()
    if (code := cuda.cuInit(0)) != 0 or (code := cuda.cuDeviceGetCount(ctypes.byref(count))) != 0 or not count.value:
        raise Lacks(f"the driver gives no GPU (code {code}); look at nvidia-smi")
    said = here.run(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"], 30)[1].strip()
    return {"GPUs": count.value, "nvidia-smi": said}


def environment(here: Here) -> dict[str, Any]:
    """Needs Python's venv module. System packages stay visible: TensorRT and torch are often among them."""
    if not here.python.exists():
        # Packages of the Python that runs this, too, where that is an environment itself.
        code, said = here.run([sys.executable, "-m", "venv", "--system-site-packages", here.into], 120)
        if code:
            raise Lacks(f"no environment could be made ({_last(said)}); install python3-venv")
        known = here.run([here.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], 60)[1].strip()
        Path(known, "from_the_caller.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return {"python": here.run([here.python, "--version"], 30)[1].strip()}


def packages(here: Here) -> dict[str, Any]:
    """Needs what leukostream's edge and builder import: installed, or as wheels."""
    _done(here, "environment")
    found = {name: _installed(here, name, module) for name, module in BASE.items()}
    missing = [name for name, how in found.items() if not how]
    if missing:
        where = ", ".join(map(str, here.wheels)) or "no folder (WHEELHOUSE=dir)"
        raise Lacks(f"{', '.join(missing)} neither installed nor in {where}; add their wheels")
    return found


def pycuda(here: Here) -> dict[str, Any]:
    """Needs PyCUDA: installed, as a wheel, or as its source with nvcc's toolkit, g++ and Python's headers."""
    _done(here, "environment")
    if how := _installed(here, "pycuda", "pycuda"):
        return {"pycuda": how}
    sources = [file for folder in here.wheels for file in sorted(folder.glob("pycuda-*.tar.gz"))]
    nvcc, header = shutil.which("nvcc"), Path(sysconfig.get_path("include"), "Python.h")
    lacks = [
        *([] if sources else ["its source (pycuda-*.tar.gz) in WHEELHOUSE"]),
        *([] if nvcc else ["nvcc"]),
        *([] if shutil.which("g++") else ["g++"]),
        *([] if header.exists() else ["Python.h"]),
    ]
    if lacks:
        raise Lacks(f"PyCUDA is not installed, no wheel of it fits, and building it lacks {', '.join(lacks)}")
    root = Path(os.environ.get("CUDA_ROOT") or Path(str(nvcc)).resolve().parents[1])
    if not (root / "include" / "cuda.h").exists():
        raise Lacks(f"{root} has no include/cuda.h, because nvcc is a wrapper; name the toolkit with CUDA_ROOT=/usr/local/cuda")
    home = here.into / "pycuda-home"
    home.mkdir(parents=True, exist_ok=True)
    stubs = [str(root / "lib64" / "stubs"), str(root / "lib64"), "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
    (home / ".aksetup-defaults.py").write_text(
        f"CUDA_ROOT = {str(root)!r}\nCUDA_ENABLE_CURAND = False\nCUDADRV_LIB_DIR = {stubs!r}\n"
    )
    links = [word for folder in here.wheels for word in ("--find-links", folder)]
    code, said = here.run([here.python, "-m", "pip", "install", *links, sources[-1]], 300, HOME=str(home))
    if code:
        raise AssertionError(f"PyCUDA was not built: {_last(said)}; docs/install-gpu.md has the errors and what they mean")
    return {"pycuda": f"built from {sources[-1].name} with {root}"}


def stand_in(here: Here) -> dict[str, Any]:
    """Needs a GPU, PyCUDA and torch with CUDA: device layer, slots, streams and graphs, all but TensorRT."""
    for name in ("driver", "pycuda"):
        _done(here, name)
    code, said = here.run([here.python, "-c", "import edge.engine.pipelined, edge.engine.gpu.cuda"], 120)
    if code:  # a few of the packages are enough for it
        raise Lacks(f"the edge's engine cannot be imported ({_last(said)})")
    code, said = here.run([here.python, "-c", "import torch; assert torch.version.cuda, 'a torch without CUDA'"], 120)
    if code:
        raise Lacks(f"torch with CUDA cannot be used ({_last(said)})")
    code, said = here.run([here.python, ROOT / "tests" / "gpu" / "stand_in_checks.py"], 180)
    if code:
        raise AssertionError(_last(said))
    return dict(json.loads(_last(said)))


def engine(here: Here) -> dict[str, Any]:
    """Needs a GPU, PyCUDA and a TensorRT that loads: the engine's own checks."""
    _tensorrt(here)
    own = here.findings.with_name("gpu-engine.json")
    code, said = here.run([here.python, "-m", "pytest", "tests/gpu", "-m", "gpu"], 300, LEUKO_GPU_FINDINGS=str(own))
    found = json.loads(own.read_text()) if own.exists() else {}
    if code:
        raise AssertionError(f"{_last(said)} {json.dumps(found)}")
    return dict(found)


def systems(here: Here) -> dict[str, Any]:
    """Needs the same: the seven systems at each batch size; their bundles are exported with torch where they are missing."""
    _tensorrt(here)
    own, results = here.findings.with_name("gpu-engine.json"), ROOT / "docs" / "gpu-results.md"
    command = [here.python, "tests/gpu/throughput.py", *(["--findings", own] if own.exists() else []), "--write", results]
    code, said = here.run(command, 600)
    if code:
        raise AssertionError(_last(said))
    return {"written": str(results)}


STEPS: dict[str, Callable[[Here], dict[str, Any]]] = {
    "driver": driver,
    "environment": environment,
    "packages": packages,
    "pycuda": pycuda,
    "device layer, with a stand-in for TensorRT": stand_in,
    "engine by TensorRT": engine,
    "seven systems by TensorRT": systems,
}
ON_GPU = tuple(STEPS)[4:]


def _tensorrt(here: Here) -> None:
    for name in ("driver", "packages", "pycuda"):
        _done(here, name)
    if not any(
        _installed(here, package, module)
        for package, module in (("tensorrt", "tensorrt"), ("tensorrt-rtx-cu13", "tensorrt_rtx"))
    ):
        raise Lacks("neither TensorRT nor TensorRT for RTX loads here; the stand-in has shown all but that")


def _done(here: Here, name: str) -> None:
    if (ended := here.done[name])["ended"] != "passed":
        raise Lacks(f"it follows on `{name}`, which {'was skipped' if ended['ended'] == 'skipped' else 'failed'}")


def _installed(here: Here, package: str, module: str) -> str:
    """How a package is here, empty when it is not: installed before, or from a wheel now."""
    if here.has(module):
        return "was installed"
    for folder in here.wheels:
        links = [word for each in here.wheels for word in ("--find-links", each)]
        if any(file.name.lower().replace("_", "-").startswith(f"{package}-") for file in folder.glob("*.whl")):
            here.run([here.python, "-m", "pip", "install", *links, package], 180)
            return f"from {folder}" if here.has(module) else ""
    return ""


def _last(said: str) -> str:
    return ([line.strip() for line in said.splitlines() if line.strip()] or ["no word"])[-1]


def perform(here: Here, steps: dict[str, Callable[[Here], dict[str, Any]]]) -> int:
    """All steps in order, each with its findings on disk before the next one begins."""
    for name, step in steps.items():
        begun_s = time.monotonic()
        print(f"-- {name}: {(step.__doc__ or '').strip()}", flush=True)
        try:
            if here.left_s() < 5:
                raise Lacks("the time of this call is used up; call again, what is installed stays")
            found: dict[str, Any] = {"ended": "passed", "found": step(here)}
        except Lacks as lacking:
            found = {"ended": "skipped", "why": f"{lacking}."}
        except Exception as problem:  # noqa: BLE001 - the next step may still show something
            found = {"ended": "failed", "why": f"{type(problem).__name__}: {problem}"}
        here.done[name] = found | {"seconds": round(time.monotonic() - begun_s, 1)}
        part = here.findings.with_suffix(".part")
        here.findings.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(here.done, indent=1))
        part.replace(here.findings)
        print(f"   {found['ended']}: {found.get('why') or json.dumps(found['found'])}", flush=True)
    failed = [name for name, ended in here.done.items() if ended["ended"] == "failed"]
    computed = [name for name in ON_GPU if here.done.get(name, {}).get("ended") == "passed"]
    print(f"{len(computed)} of {len(ON_GPU)} steps computed on a GPU, {len(failed)} failed; all of it is in {here.findings}")
    return 0 if computed and not failed else 1


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=Path, nargs="*", default=[])
    parser.add_argument("--findings", type=Path, default=ROOT / "runs" / "gpu-findings.json")
    parser.add_argument("--into", type=Path, default=ROOT / ".venv-gpu")
    parser.add_argument("--limit-s", type=float, default=700.0)
    asked = parser.parse_args(words)
    if lost := [folder for folder in asked.wheels if not folder.is_dir()]:
        print(f'{lost[0]} is no folder; give those that hold wheels: make gpu-test WHEELHOUSE="dir1 dir2"', file=sys.stderr)
        return 1
    wheels = [folder.resolve() for folder in asked.wheels]
    here = Here(wheels, asked.into.absolute(), asked.findings.absolute(), time.monotonic() + asked.limit_s)
    return perform(here, STEPS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
