"""Untrained bundles of the seven architectures, exported outside the test process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from leukostream.edge.contracts.bundle import Bundle, load_bundle

_SCRIPT = Path(__file__).parents[1] / "support" / "export_random.py"
_IN_TURN = (
    ("yolov3-tiny-416", "ssd300-smin0.1", "ssd300-smin0.2", "ssd512-smin0.2"),
    ("yolov3-320", "yolov3-416", "yolov3-608"),
)
"""Two processes of about the same length: the exporter keeps one core busy, whatever the model's size."""


class _Exporter:
    """One process that writes bundles; its lines say which are there."""

    def __init__(self, folder: Path, recipes: tuple[str, ...]) -> None:
        self._folder = folder
        self._recipes = recipes
        self._done: set[str] = set()
        self._errors = folder / f"{recipes[0]}.stderr"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(_SCRIPT), str(folder), *recipes],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def makes(self, recipe: str) -> bool:
        return recipe in self._recipes

    def wait_for(self, recipe: str) -> Bundle:
        assert self.process.stdout is not None
        while recipe not in self._done:
            line = self.process.stdout.readline()
            if not line:
                pytest.fail(f"{recipe} was not exported: {self._errors.read_text()[-2000:]}")
            self._done.add(line.strip())
        return load_bundle(self._folder / recipe)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Bundle]]:
    """Recipe name to its bundle of random weights. The first call starts all of them; each waits for the one it names."""
    exporters: list[_Exporter] = []

    def bundle_of(recipe: str) -> Bundle:
        if not exporters:
            folder = tmp_path_factory.mktemp("exported")
            exporters.extend(_Exporter(folder, recipes) for recipes in _IN_TURN)
        return next(exporter for exporter in exporters if exporter.makes(recipe)).wait_for(recipe)

    yield bundle_of
    for exporter in exporters:
        exporter.process.kill()
        exporter.process.communicate()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test is first waits for the export too."""
    for item in items:
        if "exported" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(240))
