"""A library that is not installed, or cannot be loaded here, is one sentence with the command that helps, and exit code 11."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.contracts.missing_parts import not_installed

pytestmark = pytest.mark.timeout(60)
ROOT = Path(__file__).parents[2]
BUNDLE = str(ROOT / "edge" / "bundles" / "yolov3-tiny-416-look")

WITHOUT = """
import importlib.abc, sys
room, absent, *words = sys.argv[1:]

class Without(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
sys.path.insert(0, "libraries")
sys.argv = ["leuko", *words]
importlib.import_module(f"{room}.cli").main()
"""
FIT = ("trainer", "fit", "--data", "x", "--root", "/", "--out", "x")
WATCH = ("edge", "watch", "tcp://127.0.0.1:1", "--timeout-s", "0.1")
VIEW = ("edge", "view", "--bind", "127.0.0.1:0")
SCORE = ("edge", "score", "/", "--um-per-px", "0.13", "--out", "x")
PIXELS = ("calib", "pixel-size", "x.png", "--line-spacing-um", "10", "--out", "x.json")


def without(absent: str, command: tuple[str, ...], folder: Path) -> "subprocess.CompletedProcess[str]":
    room, *words = command
    run = [sys.executable, "-c", WITHOUT, room, absent, *words]
    return subprocess.run(run, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize(
    ("library", "command", "says"),
    [
        pytest.param("torch", FIT, "needs torch, which is not installed here; pip install 'leukostream[trainer]'", id="torch"),
        pytest.param(
            "torch",
            ("trainer", "export", "--random-weights", "--out", "x"),
            "needs torch, which is not installed here",
            id="another command",
        ),
        pytest.param("jinja2", ("trainer", "report", "x.json", "--out", "x"), "needs jinja2", id="needed by one command alone"),
        pytest.param("onnx", ("builder", "inspect", BUNDLE), "onnx, which is not installed here; pip install 'leuk", id="onnx"),
        pytest.param("scipy", PIXELS, "pip install 'leukostream[calib]'", id="scipy"),
        pytest.param(
            "pyarrow", SCORE, "needs pyarrow, which is not installed here; pip install 'leukostream[score]'", id="extra"
        ),
        pytest.param("uvicorn", VIEW, "needs uvicorn, which is not installed here; pip install 'leukostream[view]'", id="page"),
        pytest.param("zmq", WATCH, "needs pyzmq, which is not installed here; pip install leukostream\n", id="of the base"),
        pytest.param("numpy", PIXELS, "needs numpy, which is not installed here; pip install leukostream\n", id="in a room"),
    ],
)
def test_a_library_that_is_not_there_is_named_with_the_command_that_brings_it(
    library: str, command: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    done = without(library, command, tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (11, 1), done.stderr
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        pytest.param(
            "ImportError('libGL.so.1: cannot open shared object file: No such file or directory')",
            "opencv-python cannot be loaded, because this system has no libGL.so.1; install",
            id="a system's library that a container lacks",
        ),
        pytest.param("OSError('libGL.so.1: cannot open shared object file')", "this system has no libGL.so.1", id="by ctypes"),
        pytest.param("ValueError('numpy.dtype size changed')", "cannot be loaded (numpy.dtype size changed)", id="another ABI"),
        pytest.param("AttributeError('no attribute float')", "cannot be loaded (no attribute float)", id="another version"),
        pytest.param("ImportError(\"cannot import name 'x'\")", "install it again: pip install", id="half installed"),
        pytest.param("ModuleNotFoundError(\"No module named 'idna'\", name='idna')", "needs idna", id="what it needs itself"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_named(raised: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "libraries" / "cv2").mkdir(parents=True)
    (tmp_path / "libraries" / "cv2" / "__init__.py").write_text(f"def bootstrap():\n    raise {raised}\nbootstrap()\n")
    done = without("nothing", PIXELS, tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (11, 1), done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("room", "library"), [("edge", "numpy"), ("trainer", "torch"), ("builder", "onnx"), ("calib", "numpy")]
)
def test_help_needs_none_of_them(room: str, library: str, tmp_path: Path) -> None:
    done = without(library, (room, "--help"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_our_own_files_lack_is_no_matter_of_installing() -> None:
    for problem in (ModuleNotFoundError("no", name="edge.nowhere"), ValueError("odd"), ImportError("cannot", name="edge.cli")):
        assert not_installed(problem, "trainer") == ""
