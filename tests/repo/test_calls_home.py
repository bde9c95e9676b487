"""No command opens a connection that it was not told to, and none leaves anything in the home directory unasked."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTSIDE = re.compile(r"(?:connect|sendto|sendmsg|sendmmsg)\(.*(sa_family=AF_INET6?, [^}]*)\}")
LOOPBACK = 'inet_addr("127.0.0.1")'
"""A bench speaks to the controller that it has started."""
CASES = [
    pytest.param(["edge.cli", "doctor", "--json"], id="everything that can be installed is looked at"),
    pytest.param(
        ["edge.cli", "bench", "--fields", "1", "--rounds", "1", "--loop-only", "--json", "-"],
        id="a model is loaded and computes",
    ),
    pytest.param(["builder.cli", "inspect", "edge/bundles/yolov3-tiny-416-look"], id="a graph is read"),
    pytest.param(["trainer.cli", "fit", "--data", "nowhere.yaml", "--out", "nowhere"], id="a training that cannot begin"),
    pytest.param(["calib.cli", "pixel-size", "nowhere.png", "--line-spacing-um", "10"], id="a calibration that cannot begin"),
]


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    """As a user would: some packages keep quiet when they find themselves in a test."""
    kept = {name: value for name, value in os.environ.items() if name not in {"CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST"}}
    environment = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_openvino_is_loaded_without_what_calls_home(tmp_path: Path) -> None:
    script = "import sys, edge.engine.openvino; print(any(name.startswith('openvino_telemetry.') for name in sys.modules))"
    done = run([sys.executable, "-c", script], tmp_path)
    assert done.stdout.split() == ["False"]
    assert list(tmp_path.iterdir()) == []


def test_only_one_file_loads_openvino() -> None:
    """So that what goes before its import goes before every import of it."""
    loads = re.compile(r"^\s*(?:import openvino|from openvino)\b", flags=re.MULTILINE)
    rooms = (ROOT / room for room in ("edge", "builder", "trainer", "calib"))
    assert [path.name for room in rooms for path in room.rglob("*.py") if loads.search(path.read_text())] == ["openvino.py"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", CASES)
def test_no_command_opens_a_connection_by_itself(words: list[str], tmp_path: Path) -> None:
    tracer = shutil.which("strace")
    if tracer is None:
        pytest.skip("strace is not installed, without which connections cannot be seen")
    trace = tmp_path / "trace"
    traced = [tracer, "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(trace)]
    (home := tmp_path / "home").mkdir()
    done = run([*traced, sys.executable, "-m", *words], home)
    if "PTRACE" in done.stderr or not trace.exists():
        pytest.skip(f"strace may not trace here: {done.stderr.strip()[-200:]}")
    assert "Traceback" not in done.stderr
    outside = [found.group(1) for found in map(OUTSIDE.search, trace.read_text().splitlines()) if found]
    assert [each for each in outside if LOOPBACK not in each] == []
    assert [path.name for path in home.iterdir() if path.name == "intel"] == []
