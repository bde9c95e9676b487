"""The repository as a whole: what would embarrass it if it went wrong unnoticed."""

import importlib.metadata
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _tracked(*patterns: str) -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of files that belong to the repository is unknown")
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_python_file_is_over_400_lines() -> None:
    long = {path.name: n for path in _tracked("*.py") if (n := len(path.read_text().splitlines())) > 400}
    assert not long, "split them: each file has one reason to exist"


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
