"""What the documentation quotes exists: messages, commands and options, and the lines of Python a controller would copy."""

import ast
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

ROOT = Path(__file__).parents[2]


@cache
def _sentences() -> str:
    """Every string of the package, one a line, with `…` for each part that varies."""
    found = []
    for path in (ROOT / "leukostream").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found).replace("`", "")


def _quoted_messages() -> list[str]:
    page, quoted = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), []
    for table in page.split("| message |")[1:]:
        rows = re.match(r".*\n\| ---.*\n((?:\|.*\n)+)", table)
        assert rows is not None
        quoted += re.findall(r"^\| `([^`]+)` \|", rows.group(1), flags=re.MULTILINE)
    return quoted


@pytest.mark.parametrize("message", _quoted_messages())
def test_every_message_of_the_troubleshooting_page_is_in_the_code(message: str) -> None:
    assert message in _sentences()


def _commands() -> list[str]:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]
    found = set()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found.update(re.findall(r"^ {4}(leuko-.*?)(?:\s+#.*)?$", text, flags=re.MULTILINE))
        found.update(line for line in re.findall(r"`(leuko-\w+ [^`]+)`", text) if "…" not in line)
        for block in re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, flags=re.DOTALL):
            found.update(re.findall(r"^(?:\$ )?(leuko-.*?)(?:\s+#.*)?$", block, flags=re.MULTILINE))
    return sorted(found)


LIST_OPTIONS = """
import importlib.metadata, json, sys, typer.main

def options(command, words):
    inner = getattr(command, "commands", None)
    if not inner:
        return {" ".join(words): [option for parameter in command.params for option in parameter.opts]}
    return {key: value for name, one in inner.items() for key, value in options(one, [*words, name]).items()}

(entry,) = importlib.metadata.entry_points(group="console_scripts", name=sys.argv[1])
print(json.dumps(options(typer.main.get_group(sys.modules[entry.load().__module__].app), [])))
"""


@cache
def _options(name: str) -> dict[str, list[str]]:
    """Options by command. In a process of its own: the trainer's loads torch, which these tests do without."""
    done = subprocess.run([sys.executable, "-c", LIST_OPTIONS, name], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(90)
@pytest.mark.parametrize("line", _commands())
def test_every_command_of_the_documentation_exists_with_its_options(line: str) -> None:
    name, *words = shlex.split(line)
    known = _options(name)
    command = next((" ".join(words[:n]) for n in (1, 2) if " ".join(words[:n]) in known), "")
    if list(known) != [""]:
        assert command, f"{name} has no such command"
    options = {"--help", *known[command]}
    assert [word for word in words if word.startswith("--") and word not in options] == []


@pytest.mark.timeout(60)
def test_the_readme_s_controller_performs_a_run(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    bundle = write_tiny_bundle(tmp_path / "bundle")
    fields = tmp_path / "fields"
    fields.mkdir()
    for name, blobs in (("a", [("lymphocyte", 40, 40)]), ("b", [])):
        cv2.imwrite(str(fields / f"{name}.png"), blob_field(blobs))
    command = [sys.executable, "-m", "leukostream.edge.cli", "run", "--source", f"folder:{fields}", "--um-per-px", "0.13"]
    edge = subprocess.Popen(
        [*command, "--bundle", str(bundle.path), "--bind", "tcp://127.0.0.1:*"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert edge.stderr is not None
        endpoint = next(found.group() for line in edge.stderr if (found := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
        script = code.replace("tcp://127.0.0.1:5570", endpoint)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["0 ok {'lymphocyte': 1} 1", "1 empty {} 1", "completed 1 leukocytes"]
        edge.communicate(timeout=20)
        assert edge.returncode == 0
    finally:
        edge.kill()
        edge.communicate()
