"""A real Triton Inference Server from NVIDIA's wheel nvidia-pytriton, which brings the server with its Python backend alone.

Hence the repository of `leuko-build serve-repository` is given that backend here: the same graph, run by onnxruntime.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.ports import free_endpoint

_MODEL = """
import json, os
import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        folder = os.path.join(args["model_repository"], args["model_version"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("LEUKO_TRITON_THREADS", "2"))
        self.session = onnxruntime.InferenceSession(os.path.join(folder, "model.onnx"), options)

    def execute(self, requests):
        answers = []
        for request in requests:
            frames = triton.get_input_tensor_by_name(request, "frames").as_numpy()
            found = self.session.run(["boxes", "scores", "labels"], {"frames": np.ascontiguousarray(frames)})
            tensors = [triton.Tensor(name, rows) for name, rows in zip(("boxes", "scores", "labels"), found)]
            answers.append(triton.InferenceResponse(tensors))
        return answers
"""


def triton_environment() -> Path:
    """A Python environment with nvidia-pytriton and onnxruntime; the test is skipped where there is none."""
    named = os.environ.get("LEUKO_TRITON", "")
    if not named:
        pytest.skip("LEUKO_TRITON is not set: name a Python environment with nvidia-pytriton and onnxruntime to run this test")
    found = next(Path(named).glob("lib/python3.*/site-packages/pytriton/tritonserver"), None)
    if found is None:
        pytest.fail(f"LEUKO_TRITON names {named}, in which nvidia-pytriton is not installed; correct it or unset it")
    return Path(named)


@contextmanager
def real_triton(environment: Path, repository: Path, work: Path, *, wait_s: float = 120.0) -> Iterator[str]:
    """Start it on a copy of `repository` (its folder `triton`); gives its gRPC address once it is ready."""
    server = next(environment.glob("lib/python3.*/site-packages/pytriton/tritonserver"))
    python = server.parents[2].name.removeprefix("python")
    models, backends = work / "models", work / "backends"
    shutil.copytree(repository, models)
    shutil.copytree(server / "backends" / "python", backends / "python")
    shutil.copy(server / "python_backend_stubs" / python / "triton_python_backend_stub", backends / "python")
    for config in models.glob("*/config.pbtxt"):
        config.write_text(
            config.read_text().replace('backend: "onnxruntime"', 'backend: "python"').replace("model.onnx", "model.py")
        )
        for version in config.parent.glob("[0-9]*"):
            (version / "model.py").write_text(_MODEL)
    port = free_endpoint().rpartition(":")[2]
    libraries = [str(server.parents[1] / "nvidia_pytriton.libs"), str(_libpython(environment))]
    own = {"LD_LIBRARY_PATH": ":".join(libraries), "PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": ""}
    words = ["--model-repository", str(models), "--backend-directory", str(backends), "--allow-http=false"]
    words += ["--allow-metrics=false", f"--grpc-port={port}", "--grpc-address=127.0.0.1"]
    with (work / "triton.log").open("wb") as log:
        command = [str(server / "bin" / "tritonserver"), *words]
        with subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log) as process:
            try:
                until = time.monotonic() + wait_s
                while "Started GRPCInferenceService" not in (work / "triton.log").read_text(errors="replace"):
                    assert process.poll() is None and time.monotonic() < until, (work / "triton.log").read_text(
                        errors="replace"
                    )
                    time.sleep(0.1)
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()


def _libpython(environment: Path) -> Path:
    """Where the library of the interpreter lies that the environment was made from."""
    return (environment / "bin" / "python3").resolve().parents[1] / "lib"
