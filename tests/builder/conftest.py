"""What builder tests share: bundles, and untrained ones of the seven architectures, exported outside while other tests run."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
from support.rtx_builds import HEIGHT_PX, WIDTH_PX, drawn
from support.tiny_bundle import write_tiny_bundle

from builder import build_process
from edge.contracts.bundle import Bundle, load_bundle
from edge.settings import SHIPPED_BUNDLE

_SCRIPT = Path(__file__).parents[1] / "helpers" / "support" / "export_random.py"
_FIXTURE = "untrained_bundle"
_IN_TURN = (
    "yolov3-tiny-416",
    "yolov3-tiny-416+look",
    "ssd300-smin0.1",
    "ssd300-smin0.2",
    "ssd512-smin0.2",
    "yolov3-320",
    "yolov3-416",
    "yolov3-608",
)
"""One process exports them in this order: torch and its exporter are imported once, and the other core is left to the tests."""


class _Exporter:
    """The process that writes bundles; its lines say which are there."""

    def __init__(self, folder: Path, recipes: list[str]) -> None:
        self._folder = folder
        self._done: set[str] = set()
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, str(_SCRIPT), str(folder), *recipes],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def wait_for(self, recipe: str) -> Bundle:
        assert self._process.stdout is not None
        while recipe not in self._done:
            line = self._process.stdout.readline()
            if not line:
                pytest.fail(f"{recipe} was not exported: {self._errors.read_text()[-2000:]}")
            self._done.add(line.strip())
        return load_bundle(self._folder / recipe)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def _recipe(item: pytest.Item) -> str | None:
    """The architecture that a test asks for, by its parameter `recipe`."""
    if _FIXTURE not in getattr(item, "fixturenames", ()):
        return None
    assert isinstance(item, pytest.Function)
    recipe = item.callspec.params["recipe"]
    return recipe if recipe in _IN_TURN else None


@pytest.fixture(scope="session", autouse=True)
def exporter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Exporter | None]:
    """Begins with this folder's first test and exports what the selected tests ask for; None when they ask for nothing."""
    asked = {_recipe(item) for item in request.session.items}
    recipes = [recipe for recipe in _IN_TURN if recipe in asked]
    if not recipes:
        yield None
        return
    exporter = _Exporter(tmp_path_factory.mktemp("exported"), recipes)
    yield exporter
    exporter.end()


@pytest.fixture(scope="session")
def untrained_bundle(exporter: _Exporter | None) -> Callable[[str], Bundle]:
    """Recipe name to its bundle of random weights, once it is exported. A test gets it by a parameter called `recipe`."""
    assert exporter is not None
    return exporter.wait_for


@pytest.fixture(scope="session")
def shipped() -> Bundle:
    return load_bundle(SHIPPED_BUNDLE)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What builds in no time, for the tests of everything around a build."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture
def built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One build each, whether or not another gives the same bytes, where a test asks for nothing of the kind."""
    monkeypatch.setattr(build_process, "_ATTEMPTS", 1)


@pytest.fixture(scope="session")
def one_field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one drawn field, for commands that measure ranges: the eight that they draw take a second of each test."""
    folder = tmp_path_factory.mktemp("one")
    cv2.imwrite(str(folder / "field.png"), drawn(WIDTH_PX, HEIGHT_PX).frames[0])
    return folder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need an export come last, in the order of the exports: they find it there instead of waiting for it."""
    for item in items:
        if recipe := _recipe(item):
            item.add_marker(pytest.mark.timeout(240))  # alone it waits all the same
            item.stash[_TURN] = _IN_TURN.index(recipe)
    items.sort(key=lambda item: item.stash.get(_TURN, -1))


_TURN = pytest.StashKey[int]()
