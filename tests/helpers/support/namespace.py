"""Runs a scene in a network of its own, where a fake camera may take the ports of GigE Vision and nobody else hears it.

Usage: python -m support.namespace SCENE ARGUMENT...; shows what the scene prints.
"""

import ctypes
import json
import os
import shlex
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

HELPERS = Path(__file__).parents[1]


@lru_cache(maxsize=1)
def why_not() -> str:
    """Why no fake GigE Vision camera can run here; empty when it can."""
    try:
        ctypes.CDLL("libaravis-0.8.so.0")
    except OSError:
        return "libaravis-0.8-0 is not installed (apt install libaravis-0.8-0)"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "unshare (util-linux) and ip (iproute2) are needed for a network namespace"
    done = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, text=True, check=False)
    return f"no network namespace can be made here ({done.stderr.strip()})" if done.returncode else ""


def inside(scene: str, *arguments: str) -> list[str]:
    """The command that runs a scene in a new network."""
    script = f"ip link set lo up && exec {sys.executable} -m support.gige_scenes {shlex.join([scene, *arguments])}"
    return ["unshare", "-n", "sh", "-c", script]


def play(scene: str, *arguments: str, timeout_s: float = 50.0) -> Any:  # noqa: ANN401 - what the scene prints
    """The JSON that `python -m support.gige_scenes SCENE ...` prints last; skips the test where that cannot be."""
    if reason := why_not():
        pytest.skip(reason)
    done = subprocess.run(
        inside(scene, *arguments),
        cwd=HELPERS,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(HELPERS), os.environ.get("PYTHONPATH")]))},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    sys.exit(subprocess.run(inside(*sys.argv[1:]), check=False).returncode)
