"""The table of third-party components is that of the lock; what is installed here says the same of itself."""

import importlib.util
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(60)


def rows() -> dict[str, tuple[str, str, str]]:
    lines = (ROOT / "docs" / "third-party.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][2:]
    return {name: (version, licence, part) for name, version, licence, part in cells}


def _script() -> object:
    spec = importlib.util.spec_from_file_location("third_party", ROOT / "deploy" / "third_party.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_component_of_the_lock_has_its_line() -> None:
    locked = dict(_script().locked())  # type: ignore[attr-defined]
    assert {name: version for name, (version, _, _) in rows().items()} == locked, "run `make third-party`"
    assert all(licence and licence != "not stated" for _, licence, _ in rows().values())


def test_licences_are_what_the_installed_components_say() -> None:
    script = _script()
    for name, (version, licence, _) in rows().items():
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        if installed.version == version:
            said = script.licence_of(installed)  # type: ignore[attr-defined]
            assert licence == script._SAID_ELSEWHERE.get(name, said), name  # type: ignore[attr-defined]


def test_what_runs_on_a_scanner_has_no_licence_that_forbids_it() -> None:
    """A licence that binds whoever passes the installation on must be known before it is: NOTICE names those there are."""
    binding = {name for name, (_, licence, part) in rows().items() if part == "base" and "GPL" in licence}
    assert binding == set()
