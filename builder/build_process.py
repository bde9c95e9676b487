"""A build in a process of its own: TensorRT may crash, run out of memory or be stopped, and a sentence still says so.

It is also what makes the bytes of a plan the same every time. They depend on addresses in memory, so the process begins from
nothing but the request, and TensorRT for RTX, which builds within seconds, builds until two plans agree.

Both sides of the pipe are here: the command's, and `main`, which is the program that it starts. That program takes a request
and a graph on standard input and gives a plan on standard output, each as one line of JSON and then bytes, in the order that
the line names. Phases go to standard error, one JSON object a line, among what TensorRT says. No path and no setting reaches
it otherwise: the bytes of a plan depend on what lies where in memory.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import replace
from hashlib import sha256

from builder.trt_build import BuildWatch, Built, build_plan
from edge.contracts.engine_files import RUNTIME_NAMES, BuildRequest
from edge.contracts.errors import EngineError, LeukoError
from edge.engine.gpu.nvidia_driver import find_gpu

_log = logging.getLogger(__name__)

_PROGRAM = "builder.build_process"
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_HOME", "HOME")
_SAME_EVERY_TIME = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Random hashes and the threads that numpy starts on import would change what lies where."""
_ATTEMPTS = 6
_LAST_WORDS = 3
_WARNING = "TensorRT warns"
"""What a line of the log begins with that is more than a diary."""

_SETTLE = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGKILL)          # PR_SET_PDEATHSIG: nobody wants the plan of a command that is gone
if sys.argv[2] == "tensorrt_rtx":
    libc.personality(0x0040000)        # ADDR_NO_RANDOMIZE, where the system lets it
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.execv(sys.executable, [sys.executable, "-m", sys.argv[1]])
"""
"""TensorRT for RTX orders outputs and names temporaries by where they lie in memory: hence no random addresses, and one core,
on which its threads nearly always allocate in the same order."""


def build_apart(graph: bytes, request: BuildRequest, watch: BuildWatch, timing_cache: bytes = b"") -> Built:
    """Build `graph` as `request` says; see `build_plan`. Raises `EngineError`; an interrupt ends the build at once.

    TensorRT measures kernels and chooses the fastest, so that its plans may differ; one is built. Of TensorRT for RTX the first
    plan that came twice is taken, and said to be reproduced; where none comes twice the last one is, with a warning in the log.
    """
    if request.runtime != "tensorrt_rtx":
        return _build(graph, request, watch, timing_cache)
    seen: set[str] = set()
    for _ in range(_ATTEMPTS):
        built = _build(graph, request, watch, timing_cache)
        digest = sha256(built.plan).hexdigest()
        if digest in seen:
            return replace(built, reproduced=True)
        seen.add(digest)
    _log.warning(
        "no two of %d builds gave the same bytes: this system lets no program run without random addresses (`setarch -R`), "
        "as a container with a strict profile does; the engine can be used all the same",
        _ATTEMPTS,
    )
    return built


def _build(graph: bytes, request: BuildRequest, watch: BuildWatch, timing_cache: bytes) -> Built:
    head = {"request": request.model_dump(mode="json"), "graph_bytes": len(graph)}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        given.write(json.dumps(head).encode() + b"\n" + graph + timing_cache)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _SETTLE, _PROGRAM, request.runtime],
            stdin=given,
            stdout=answer,
            stderr=subprocess.PIPE,
            cwd="/",
            env=_environment(request),
            start_new_session=True,  # an interrupt at the terminal reaches the command alone, which then ends the build
            text=True,
            errors="replace",
        )
        try:
            said = _follow(process, watch)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        answer.seek(0)
        line, _, rest = answer.read().partition(b"\n")
    if process.returncode != 0 or not line:
        raise _died(process.returncode, request, said)
    result = json.loads(line)
    if "error" in result:
        raise EngineError(result["error"])
    n_bytes = result.pop("plan_bytes")
    return Built(plan=rest[:n_bytes], timing_cache=rest[n_bytes:], **result)


def _environment(request: BuildRequest) -> dict[str, str]:
    """TensorRT measures on this machine's GPU, under whatever settings it has; an RTX plan must depend on none of them."""
    if request.runtime == "tensorrt":
        return dict(os.environ)
    return {**_SAME_EVERY_TIME, **{name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}}


def _follow(process: "subprocess.Popen[str]", watch: BuildWatch) -> list[str]:
    """Pass the phases on until the process ends; returns what else it said last."""
    said: deque[str] = deque(maxlen=_LAST_WORDS)
    assert process.stderr is not None
    for line in process.stderr:
        match _news(line):
            case {"started": phase, "n_steps": n_steps}:
                watch.started(phase, None, n_steps)
            case {"finished": phase}:
                watch.finished(phase)
            case {"stepped": phase, "step": step}:
                watch.stepped(phase, step)
            case _:
                said.append(line.strip())
                _log.log(logging.WARNING if line.startswith(_WARNING) else logging.DEBUG, "%s", line.strip())
    process.wait()
    return [line for line in said if line]


def _news(line: str) -> object:
    """A phase; None for anything else."""
    try:
        return json.loads(line) if line.startswith("{") else None
    except json.JSONDecodeError:
        return None


def _died(code: int, request: BuildRequest, said: list[str]) -> EngineError:
    name = f"{RUNTIME_NAMES[request.runtime]} {request.runtime_version}"
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    words = f"; it said last: {' / '.join(said)}" if said else ""
    hint = "the machine may be out of memory" if -code == signal.SIGKILL else "this is a defect of it or of its installation"
    return EngineError(f"the build process of {name} ended {how}{words}; {hint}, see the kernel's log, then build again.")


class _LineWatch:
    """Tells phases as JSON lines."""

    def started(self, phase: str, parent: str | None, n_steps: int) -> None:
        _tell({"started": phase, "n_steps": n_steps})

    def finished(self, phase: str) -> None:
        _tell({"finished": phase})

    def stepped(self, phase: str, step: int) -> None:
        _tell({"stepped": phase, "step": step})


def _tell(news: dict[str, object]) -> None:
    print(json.dumps(news), file=sys.stderr, flush=True)


def _check_gpu(request: BuildRequest) -> None:
    """The engine will say that it was built on that GPU: which one is the first depends on the environment."""
    if request.gpu is not None and (here := find_gpu().identity) != request.gpu:
        raise EngineError(
            f"the engine was to be built on {request.gpu.name}, but the build process sees {here.name} as its first GPU; "
            "choose one with CUDA_VISIBLE_DEVICES."
        )


def main() -> None:
    """Read, build, write; a refusal becomes the line's `error`."""
    logging.addLevelName(logging.WARNING, _WARNING)
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s: %(message)s", stream=sys.stderr)
    given = sys.stdin.buffer.read()
    line, _, rest = given.partition(b"\n")
    head = json.loads(line)
    graph, times = rest[: head["graph_bytes"]], rest[head["graph_bytes"] :]
    try:
        request = BuildRequest.model_validate(head["request"])
        _check_gpu(request)
        built = build_plan(graph, request, _LineWatch(), times)
    except LeukoError as problem:
        print(json.dumps({"error": str(problem)}))
        return
    answer = {
        "plan_bytes": len(built.plan),
        "layer_precisions": built.layer_precisions,
        "convolutions": built.convolutions,
        "convolutions_half": built.convolutions_half,
    }
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + built.plan + built.timing_cache)


if __name__ == "__main__":
    main()
