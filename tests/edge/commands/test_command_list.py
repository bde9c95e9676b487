"""The list of commands and their `--help`: complete, and at hand without what a command does being loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge import commands
from edge.command_list import COMMANDS

pytestmark = pytest.mark.timeout(60)

HEAVY = ["cryptography", "cv2", "msgpack", "numpy", "openvino", "prometheus_client", "torch", "yaml", "zmq"]
HELP_OF_EACH = """
import contextlib, io, json, sys
from edge.cli import main

found = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["leuko-edge", *words, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    found.append([said.getvalue(), sorted(sys.modules)])
print(json.dumps(found))
"""


def help_of(*commands: list[str]) -> list[tuple[str, set[str]]]:
    """What `leuko-edge COMMAND --help` says, one after the other in one process, and the modules that are loaded then."""
    words = [sys.executable, "-c", HELP_OF_EACH, json.dumps(commands)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=True)
    return [(said, set(modules)) for said, modules in json.loads(done.stdout)]


def test_every_file_of_the_commands_is_in_the_list() -> None:
    files = {path.stem.replace("_", "-") for path in Path(commands.__path__[0]).glob("*.py") if path.stem != "__init__"}
    assert files == set(COMMANDS)


def test_the_list_of_commands_loads_none_of_them() -> None:
    ((said, modules),) = help_of([])
    assert all(name in said for name in COMMANDS)
    assert modules.isdisjoint(HEAVY)
    assert not [name for name in modules if name.startswith("edge.commands.")]


def test_the_help_of_a_command_loads_nothing_of_what_it_does() -> None:
    for name, (said, modules) in zip(COMMANDS, help_of(*([name] for name in COMMANDS)), strict=True):
        assert f"leuko-edge {name} " in said
        assert modules.isdisjoint(HEAVY), name
        assert "typing." not in said, f"{name} shows how a type is written in Python in place of what may be given"
        assert f"edge.commands.{name.replace('-', '_')}" in modules
