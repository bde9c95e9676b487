"""The repository as a whole: what would embarrass it if it went wrong unnoticed."""

import importlib.metadata
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("edge", "builder", "trainer", "calib")


def _tracked(*patterns: str) -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of files that belong to the repository is unknown")
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_python_file_is_over_400_lines() -> None:
    long = {path.name: n for path in _tracked("*.py") if (n := len(path.read_text().splitlines())) > 400}
    assert not long, "split them: each file has one reason to exist"


SAME_KIND = {
    "__init__.py": "a package's face",
    "__main__.py": "a package as a program",
    "cli.py": "the command of a room",
    "command_list.py": "what that command can do",
    "base.py": "the interface of a room",
    "settings.py": "what a room can be told",
    "device.py": "a camera through one driver",
    "library.py": "how that driver's library is loaded, and which cameras it finds",
}
"""File names that several rooms have, because the files are one kind of thing; any other name leads to one file."""


def test_a_file_name_leads_to_one_file() -> None:
    paths = defaultdict(list)
    for path in _tracked(*(f"{room}/*.py" for room in ROOMS)):
        if path.name not in SAME_KIND and path.parent.name != "commands":
            paths[path.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in paths.items() if len(found) > 1} == {}


SHORT = {
    "cli.py": "a room's command, which loads nothing before signals are heeded",
    "command_list.py": "what it can do: one line a command",
    "__main__.py": "a package as a program",
    "settings.py": "what a room can be told, to be found by that name",
    "edge/contracts/version.py": "everything that says its version reads it here, and it imports nothing of ours",
    "edge/contracts/choices.py": "words of settings that lie below the settings, because the rooms that obey them do",
    "edge/scanner/scan_plan.py": "the defaults of a scan, which --help shows without loading a scanner",
    "edge/scanner/scan_options.py": "the same of a virtual scan",
}
"""Files under 30 lines and why they stand alone, beside a package's `__init__.py` and a command."""


def test_no_file_is_too_short_to_be_worth_opening() -> None:
    short = [
        str(path.relative_to(ROOT))
        for path in _tracked(*(f"{room}/*.py" for room in ROOMS))
        if len(path.read_text().splitlines()) < 30 and path.parent.name != "commands"
        if path.name not in SHORT and path.name != "__init__.py" and str(path.relative_to(ROOT)) not in SHORT
    ]
    assert short == [], "merge them with what they are read together with, or say why they stand alone"


def test_every_file_that_the_architecture_names_is_there() -> None:
    pages = [ROOT / "docs" / "architecture.md", *_tracked("docs/decisions/*.md"), ROOT / "README.md"]
    named = {
        path for page in pages for path in re.findall(r"`((?:edge|builder|trainer|calib|tests)/[\w/.-]+)`", page.read_text())
    }
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_link_inside_the_documentation_leads_somewhere() -> None:
    broken = []
    for page in _tracked("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert not broken


# leuko-train loads torch, which these tests do without: tests/trainer/commands has it.
@pytest.mark.parametrize("command", ["leuko-edge", "leuko-build", "leuko-calib"])
def test_the_command_of_each_room_loads(command: str) -> None:
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name=command)
    assert callable(entry.load())
