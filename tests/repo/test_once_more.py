"""What `make test` makes of tests that failed while its halves ran side by side: it decides what is called green."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "helpers" / "once_more.py"
PARTS = ("scanner", "calib", "trainer")
pytestmark = pytest.mark.timeout(60)


@dataclass
class Halves:
    """How each part ended, by pytest's exit code as its file has it, and which tests its cache calls failed."""

    ends: dict[str, str]
    failed: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Said:
    code: int
    out: str
    asked: list[str] | None
    """arguments of pytest when it was run once more"""


def look(folder: Path, halves: Halves, again: int) -> Said:
    """Run the script where the parts have left this behind; pytest, played, ends with `again`."""
    environment = folder / "environment"
    (environment / "bin").mkdir(parents=True)
    python, asked = environment / "bin" / "python", folder / "asked"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{asked}\nexit {again}\n')
    python.chmod(0o755)
    for part, end in halves.ends.items():
        (environment / f"{part}.exit").write_text(end)
    for part, names in halves.failed.items():
        cache = folder / ".pytest_cache" / part / "v" / "cache"
        cache.mkdir(parents=True)
        (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(names, True)))
    command = [sys.executable, str(SCRIPT), str(environment), *PARTS]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""}
    )
    return Said(done.returncode, done.stdout + done.stderr, asked.read_text().splitlines() if asked.exists() else None)


GREEN = {"calib": "0\n", "trainer": "0\n"}


@pytest.mark.parametrize(
    ("halves", "again", "code", "tried"),
    [
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": ["a::x"]}), 0, 0, ["a::x"], id="one that passes alone"),
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": ["a::x"]}), 1, 1, ["a::x"], id="one that fails again"),
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": ["a::x"]}), 2, 2, ["a::x"], id="interrupted once more"),
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": ["a::x"]}), 4, 4, ["a::x"], id="one that is gone"),
        pytest.param(
            Halves({"scanner": "1\n", "calib": "1\n", "trainer": "5\n"}, {"scanner": ["a::x", "a::y"], "calib": ["b::z"]}),
            0,
            0,
            ["a::x", "a::y", "b::z"],
            id="three of two parts, and one part that had nothing to run",
        ),
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": list("wxyz")}), 0, 1, None, id="four are no chance"),
        pytest.param(
            Halves({"scanner": "1\n", "calib": "1\n", "trainer": "0\n"}, {"scanner": ["w", "x"], "calib": ["y", "z"]}),
            0,
            1,
            None,
            id="four over two parts",
        ),
        pytest.param(Halves({"scanner": "2\n", **GREEN}, {"scanner": ["a::x"]}), 0, 1, None, id="interrupted"),
        pytest.param(Halves({"scanner": "3\n", **GREEN}, {"scanner": ["a::x"]}), 0, 1, None, id="an error within pytest"),
        pytest.param(Halves({"scanner": "4\n", **GREEN}, {"scanner": ["a::x"]}), 0, 1, None, id="called wrongly"),
        pytest.param(Halves({"scanner": "139\n", **GREEN}, {"scanner": ["a::x"]}), 0, 1, None, id="a crash of the interpreter"),
        pytest.param(Halves({"scanner": "\n", **GREEN}, {"scanner": ["a::x"]}), 0, 1, None, id="an exit file cut short"),
        pytest.param(Halves(GREEN, {"scanner": ["a::x"]}), 0, 1, None, id="a part that never ended"),
        pytest.param(Halves({"scanner": "0\n", **GREEN}), 0, 1, None, id="nothing failed, and yet this was asked"),
        pytest.param(Halves({"scanner": "1\n", **GREEN}, {"scanner": []}), 0, 1, None, id="failed, and nobody knows what"),
        pytest.param(Halves({"scanner": "1\n", **GREEN}), 0, 1, None, id="failed, and left no cache"),
        pytest.param(
            Halves({"scanner": "1\n", "calib": "139\n", "trainer": "0\n"}, {"scanner": ["a::x"]}),
            0,
            1,
            None,
            id="one to try, and a crash elsewhere",
        ),
        pytest.param(
            Halves({"scanner": "0\n", **GREEN}, {"scanner": ["a::old"]}), 0, 1, None, id="failures of an earlier time"
        ),
    ],
)
def test_green_is_what_ended_and_passes_alone(
    tmp_path: Path, halves: Halves, again: int, code: int, tried: list[str] | None
) -> None:
    said = look(tmp_path, halves, again)
    assert said.code == code, said.out
    if tried is None:
        assert said.asked is None, "it was not to be tried again"
    else:
        assert said.asked == ["-m", "pytest", "-p", "no:cacheprovider", *tried]
    assert ("passed only when run alone" in said.out) == (code == 0)
    assert code or all(name in said.out.splitlines()[-1] for name in tried or [])


def test_a_part_without_an_end_is_named(tmp_path: Path) -> None:
    said = look(tmp_path, Halves({"scanner": "0\n", "trainer": "0\n"}), 0)
    assert said.code == 1 and "the tests of calib did not come to their end" in said.out and "Traceback" not in said.out


def test_each_test_to_try_is_one_that_the_makefile_can_name() -> None:
    """The parts are those whose exit files and caches the Makefile writes."""
    makefile = (ROOT / "Makefile").read_text()
    (call,) = [line for line in makefile.splitlines() if "once_more.py $(FULL)" in line and line.startswith("\t")]
    parts = call.partition("once_more.py $(FULL)")[2].split()
    assert parts and all(f"$(call pytest,{part}," in makefile for part in parts)
