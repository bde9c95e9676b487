"""What the documentation quotes exists: messages, commands, options, recipes, and the Python a controller would copy."""

import ast
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import cv2
import pytest
from support.tiny_bundle import blob_field, write_tiny_bundle

ROOT = Path(__file__).parents[2]
ROOMS = ("edge", "builder", "trainer", "calib")


@cache
def _sentences() -> str:
    """Every string of the package, one a line, with `…` for each part that varies."""
    found = []
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found).replace("`", "")


def _quoted_messages() -> list[str]:
    quoted = []
    for page, head in (("troubleshooting.md", "| message |"), ("training.md", "| what you read |")):
        tables = (ROOT / "docs" / page).read_text(encoding="utf-8").split(head)[1:]
        assert tables
        for table in tables:
            rows = re.match(r".*\n\| ---.*\n((?:\|.*\n)+)", table)
            assert rows is not None
            quoted += re.findall(r"^\| `([^`]+)` \|", rows.group(1), flags=re.MULTILINE)
    return quoted


@pytest.mark.parametrize("message", _quoted_messages())
def test_every_message_of_the_tables_of_what_goes_wrong_is_in_the_code(message: str) -> None:
    assert message in _sentences()


@cache
def _pages() -> list[str]:
    """A command that goes on in the next line is one line here."""
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.md")]
    return [re.sub(r" \\\n *", " ", file.read_text(encoding="utf-8")) for file in files]


def _commands() -> list[str]:
    found = set()
    for text in _pages():
        found.update(re.findall(r"^ {4}((?:leuko-|torchrun ).*?)(?:\s+#.*)?$", text, flags=re.MULTILINE))
        found.update(line for line in re.findall(r"`(leuko-\w+ [^`]+)`", text) if "…" not in line)
        for block in re.findall(r"```(?:sh|bash|console)?\n(.*?)```", text, flags=re.DOTALL):
            found.update(re.findall(r"^(?:\$ )?(leuko-.*?)(?:\s+#.*)?$", block, flags=re.MULTILINE))
    return sorted(found)


LIST_OPTIONS = """
import importlib, importlib.metadata, json, sys, typer.main

def options(command, words):
    command = getattr(command, "whole", command)
    inner = getattr(command, "commands", None)
    if not inner:
        return {" ".join(words): [option for parameter in command.params for option in parameter.opts]}
    return {key: value for name, one in inner.items() for key, value in options(one, [*words, name]).items()}

(entry,) = importlib.metadata.entry_points(group="console_scripts", name=sys.argv[1])
room = importlib.import_module(f"{entry.module.partition('.')[0]}.command_list")
print(json.dumps(options(typer.main.get_group(room.app), [])))
"""


@cache
def _options(name: str) -> dict[str, list[str]]:
    """Options by command. In a process of its own: the trainer's loads torch, which these tests do without."""
    done = subprocess.run([sys.executable, "-c", LIST_OPTIONS, name], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def _command_and_words(line: str) -> tuple[str, list[str]]:
    """Of a line with torchrun those of the module it starts, which must run when it is started so."""
    name, *words = shlex.split(line)
    if name != "torchrun":
        return name, words
    start = words.index("-m") + 1
    module = words[start]
    assert '__name__ == "__main__"' in (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    (name,) = (entry.name for entry in entry_points(group="console_scripts") if entry.module == module)
    return name, words[start + 1 :]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("line", _commands())
def test_every_command_of_the_documentation_exists_with_its_options(line: str) -> None:
    name, words = _command_and_words(line)
    known = _options(name)
    command = next((" ".join(words[:n]) for n in (1, 2) if " ".join(words[:n]) in known), "")
    if list(known) != [""]:
        assert command, f"{name} has no such command"
    options = {"--help", *known[command]}
    assert [word for word in words if word.startswith("--") and word not in options] == []


@pytest.mark.parametrize("recipe", sorted({name for text in _pages() for name in re.findall(r"--recipe ([^\s`]+)", text)}))
def test_every_recipe_of_the_documentation_is_shipped_unless_it_is_a_file_of_the_reader_s(recipe: str) -> None:
    assert recipe.endswith((".yaml", ".yml")) or (ROOT / "trainer/recipes" / f"{recipe}.yaml").is_file()


@pytest.mark.timeout(60)
def test_the_readme_s_controller_performs_a_run(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    bundle = write_tiny_bundle(tmp_path / "bundle")
    fields = tmp_path / "fields"
    fields.mkdir()
    for name, blobs in (("a", [("lymphocyte", 40, 40)]), ("b", [])):
        cv2.imwrite(str(fields / f"{name}.png"), blob_field(blobs))
    command = [sys.executable, "-m", "edge.cli", "run", "--source", f"folder:{fields}", "--um-per-px", "0.13"]
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
