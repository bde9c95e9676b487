"""Builds examples/cpp, the controller in C++."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "examples" / "cpp"
LIBRARIES = {"libzmq": "libzmq3-dev", "nlohmann_json": "nlohmann-json3-dev"}


def built(folder: Path, *variables: str) -> Path:
    """The program. Skips where it cannot be built; `make test` installs what is missing where it may."""
    missing = [tool for tool in ("make", "pkg-config", "g++") if shutil.which(tool) is None]
    if not missing:
        found = {name: subprocess.run(["pkg-config", "--exists", name], check=False).returncode for name in LIBRARIES}
        missing = [package for name, package in LIBRARIES.items() if found[name]]
    if missing:
        pytest.skip(f"the C++ scanner cannot be built here without {', '.join(missing)}")
    command = ["make", "-s", "-C", str(SOURCE), f"BUILD={folder}", *(variables or ("CXXFLAGS=-O0",))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "scanner"


def run(program: Path, endpoint: str, notebook: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """To its end."""
    command = [str(program), endpoint, str(notebook), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
