"""Builds examples/c and runs its consumer as the process that a scanner would run."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "examples" / "c"
DONE, RUN_FAILED, BAD_ARGUMENT, NO_CONNECTION, NO_STORAGE, EDGE_DEFECT = 0, 1, 2, 6, 8, 9
"""Exit codes of the consumer."""


def require_tools(compiler: str = "cc") -> None:
    """Skips where the client cannot be built; `make test` installs what is missing where it may."""
    missing = [tool for tool in ("make", "pkg-config", compiler) if shutil.which(tool) is None]
    if not missing:
        found = subprocess.run(["pkg-config", "--exists", "libzmq", "libcjson"], check=False)
        missing = ["libzmq3-dev and libcjson-dev"] if found.returncode else []
    if missing:
        pytest.skip(f"the C client cannot be built here without {', '.join(missing)}")


def build(folder: Path, *variables: str) -> "subprocess.CompletedProcess[str]":
    """`consumer` and `vectors` into `folder`."""
    command = ["make", "-s", "-j2", "-C", str(SOURCE), f"BUILD={folder}", *variables]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def build_checked(folder: Path) -> Path:
    """The programs with the sanitizers, which end one that reads astray or leaks; without, where the compiler has none."""
    require_tools()
    if build(folder / "sanitized", "SANITIZE=1", "CFLAGS=-O1 -g").returncode == 0:
        return folder / "sanitized"
    done = build(folder / "plain")
    assert done.returncode == 0, done.stderr
    return folder / "plain"


class Consumer:
    """The consumer with one state file: it may be run again and again. Nothing it starts outlives `killed_at_the_end`."""

    def __init__(self, programs: Path, folder: Path, *options: str) -> None:
        self.state, self.out = folder / "state.json", folder / "records.jsonl"
        self._program = str(programs / "consumer")
        self._options = ("--out", str(self.out), *options)

    def start(self, endpoint: str, *options: str) -> "subprocess.Popen[str]":
        command = [self._program, endpoint, str(self.state), *self._options, *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, endpoint: str, *options: str) -> "subprocess.CompletedProcess[str]":
        with killed_at_the_end(self.start(endpoint, *options)) as process:
            return finished(process)

    def lines(self) -> list[bytes]:
        """Whole lines of the file of records."""
        return self.out.read_bytes().split(b"\n")[:-1] if self.out.exists() else []

    def wait_for_lines(self, n: int, timeout_s: float = 10.0) -> None:
        """Until the file has at least `n` whole lines."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.lines()) < n:
            assert time.monotonic() < deadline_s, f"{len(self.lines())} of {n} records came"
            time.sleep(0.005)


@contextlib.contextmanager
def killed_at_the_end(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    """Also when the test fails."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(process: "subprocess.Popen[str]", timeout_s: float = 20.0) -> "subprocess.CompletedProcess[str]":
    """What it printed, and its exit code."""
    out, err = process.communicate(timeout=timeout_s)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
