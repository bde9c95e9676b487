"""What users install: a wheel of this repository, in an environment outside of it, in a place that cannot be written."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.unwritable import why_no_read_only_disk, with_read_only

ROOT = Path(__file__).parents[2]
ROOMS = ("edge", "builder", "trainer", "calib")
pytestmark = pytest.mark.timeout(180)
_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _files_of_the_rooms() -> set[str]:
    """Every file that is a part of a room, as the wheel should have it; engines that were built in a checkout are none."""
    tracked = subprocess.run(["git", "ls-files", *ROOMS], cwd=ROOT, check=True, capture_output=True, text=True)
    return {line for line in tracked.stdout.splitlines() if (ROOT / line).is_file()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without network from a copy, so that nothing of the build is left in the checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: the list of files that belong to the repository is unknown")
    if missing := [name for name in ("pip", "setuptools") if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{missing[0]} is not installed here, and the wheel cannot be built without it")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*_files_of_the_rooms(), "pyproject.toml", "README.md", "LICENSE", "NOTICE", "tests/conftest.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    # What a developer's checkout has besides, and no user should get.
    (source / "edge/bundles/engines/key").mkdir(parents=True)
    (source / "edge/bundles/engines/key/engine.plan").write_text("machine code of one GPU")
    built = subprocess.run(
        [*_PIP, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(out),
    )
    assert built.returncode == 0, built.stderr[-2000:]
    (found,) = out.glob("*.whl")
    return found


def _environment(home: Path) -> dict[str, str]:
    """Nothing that leads Python back into the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG_", "VIRTUAL_ENV"))}
    return {**kept, "HOME": str(home)}


@dataclass(frozen=True)
class Installed:
    """The wheel in a new environment that has its dependencies from the one that runs the tests, but not its leukostream."""

    folder: Path
    home: Path

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """By name of a console script or `python`, outside of the checkout; on a read-only disk where that can be had."""
        whole = [str(self.folder / "bin" / command[0]), *command[1:]]
        if not why_no_read_only_disk():
            whole = with_read_only(self.folder, whole)
        return subprocess.run(
            whole, cwd=self.home, env=_environment(self.home), capture_output=True, text=True, timeout=90, check=False
        )

    def contents(self) -> dict[str, str]:
        """Every file to the SHA-256 of what is in it; files of the environment and directories as well."""
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
            for path in sorted(self.folder.rglob("*"))
        }


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder, home = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [*_PIP, "--python", str(python), "install", "--no-index", "--no-deps", "--compile", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(home),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # A directory named in a .pth file is searched last, and its own .pth files, which lead to the checkout, are not read.
    (own,) = folder.glob("lib/python*/site-packages")
    others = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (own / "dependencies.pth").write_text("\n".join(others))
    return Installed(folder, home)


@pytest.fixture
def untouched(installed: Installed) -> Iterator[None]:
    """Holds whatever the test runs to writing nothing where it is installed."""
    before = installed.contents()
    yield
    assert installed.contents() == before


def test_the_wheel_has_every_file_of_the_four_rooms_and_no_other(wheel: Path) -> None:
    """The shipped bundle, recipes, class maps, templates and types among them; no test, and no engine of a developer's GPU."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == _files_of_the_rooms()
    assert {f"{room}/py.typed" for room in ROOMS} | {
        "edge/bundles/yolov3-tiny-416-look/model.onnx",
        "trainer/recipes/shipped.yaml",
        "trainer/class_maps/bccd.yaml",
        "trainer/reporting/templates/report.html",
    } <= names


@pytest.mark.usefixtures("untouched")
def test_what_is_imported_is_the_wheel_s(installed: Installed) -> None:
    script = f"import json, {', '.join(ROOMS)}; print(json.dumps([room.__file__ for room in ({', '.join(ROOMS)})]))"
    done = installed.run("python", "-c", script)
    assert done.returncode == 0, done.stderr
    (own,) = installed.folder.glob("lib/python*/site-packages")
    assert json.loads(done.stdout) == [str(own / room / "__init__.py") for room in ROOMS]


@pytest.mark.usefixtures("untouched")
def test_the_demo_runs_where_nothing_can_be_written(installed: Installed) -> None:
    done = installed.run("leuko-edge", "demo", "--fields", "6", "--json")
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-2000:]
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines() if line.startswith("{")]
    assert (kinds[0], kinds.count("field"), kinds[-1]) == ("run_start", 6, "run_stop")


@pytest.mark.usefixtures("untouched")
def test_the_doctor_names_the_user_s_directory_of_engines(installed: Installed) -> None:
    done = installed.run("leuko-edge", "doctor", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)["facts"]["engines in"]["text"]
    beside, own = said.removesuffix(", into which they are built").split(", then ")
    assert Path(beside).is_relative_to(installed.folder)
    assert own == str(installed.home / ".local/share/leukostream/engines")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("command", ["leuko-edge", "leuko-train", "leuko-build", "leuko-calib"])
def test_every_room_s_command_is_there(installed: Installed, command: str) -> None:
    done = installed.run(command, "--help")
    assert (done.returncode, "Usage" in done.stdout) == (0, True), done.stderr
