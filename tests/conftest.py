"""Fixtures that every room shares, and the table of measured seconds per room against its budget."""

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

BUDGETS_S = {
    "setup and lint": 150,
    "trainer": 160,
    "builder": 130,
    "calib": 155,
    "edge": 205,
    "commands": 275,
    "stream": 85,
    "camera": 95,
}
"""Seconds on two cores while both halves of `make test` run; report only, no test asserts them. A room over its budget has a
test that waits for what it need not, or that belongs into `make soak`."""

ROOMS = {
    "tests/trainer/": "trainer",
    "tests/shipped/": "trainer",
    "tests/builder/": "builder",
    "tests/calib/": "calib",
    "tests/edge/stream/": "stream",
    "tests/chaos/": "stream",
    "tests/edge/camera/": "camera",
    "tests/edge/virtual/": "camera",
    "tests/edge/commands/": "commands",
    "tests/edge/bench/": "commands",
    "tests/edge/scoring/": "commands",
    "tests/edge/doctor/": "commands",
    "tests/edge/watch/": "commands",
    "tests/edge/scanner/": "commands",
    "tests/repo/": "commands",
    "tests/edge/": "edge",
}
"""Where a test's seconds are booked; the first matching row counts."""

# Examples are derived from each test's code, so that one commit always gives one result; time limits are pytest-timeout's.
settings.register_profile("leukostream", deadline=None, derandomize=True)
settings.load_profile("leukostream")

# A shell starts what it puts in the background deaf to Ctrl-C, and nohup deaf to a closed terminal; so would be every process
# that a test starts and interrupts.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)

_seconds: dict[str, float] = defaultdict(float)
_said: list[str] = []
"""What tests measured and want to be read, by `record_property("said", ...)`."""


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a command keeps in the user's home (its journal, above all) stays out of the real one."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real images; the test is skipped where there is none."""
    named = os.environ.get("LEUKO_DATA", "")
    if not named:
        pytest.skip("LEUKO_DATA is not set: name the folder that holds bccd, pbc_tiles and txl_pbc to run this test")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"LEUKO_DATA names {folder}, which is not a folder; correct it or unset it")
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[object]:
    """A command that has ended leaves the process to whatever signal comes; these tests go on in it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        return (yield)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> Iterator[None]:
    room = next((room for prefix, room in ROOMS.items() if report.nodeid.startswith(prefix)), "no room")
    _seconds[room] += report.duration
    if report.when == "call":
        _said.extend(str(value) for name, value in report.user_properties if name == "said")
    return (yield)


def pytest_unconfigure() -> None:
    """A process that a test left behind may heed no SIGTERM, and the interpreter's end would wait for it for ever."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            command = " ".join(process.cmdline())
            # Python's own helpers end with the interpreter; what the fork server forked has its name, but not its parent.
            if process.ppid() == os.getpid() and ("resource_tracker" in command or "forkserver" in command):
                continue
            print(f"left running by a test and killed: {command[:120]}", file=sys.stderr)
            process.kill()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _said:
        terminalreporter.write_line(line)
    spent = dict(_seconds)
    if setup_and_lint := os.environ.get("LEUKO_SETUP_LINT_S"):
        spent["setup and lint"] = float(setup_and_lint)
    terminalreporter.section("seconds per room", sep="-")
    for room in [*BUDGETS_S, *sorted(spent.keys() - BUDGETS_S.keys())]:
        if room in spent:
            budget = BUDGETS_S.get(room)
            over = "  over budget" if budget is not None and spent[room] > budget else ""
            terminalreporter.write_line(f"{room:<15}{spent[room]:8.1f} of {budget or '-':>4}{over}")
