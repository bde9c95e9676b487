"""Writes docs/third-party.md: every component of constraints.txt with its version and licence, and which part brings it.

    python deploy/third_party.py docs/third-party.md

Run in an environment with all extras (`make third-party`): licences are what the installed components say of themselves. A
component that is not installed here, because it is for another system or Python, keeps the line that the table has.
"""

import re
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from edge.contracts.errors import ConfigError
from edge.files import parse_toml

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN = "not stated"
_BSD3 = "BSD-3-Clause"
_SAID_ELSEWHERE = {
    "pypylon": f"{_BSD3}; Basler's pylon inside under its own licence",
    "genicam": "GenICam licence",
    "exceptiongroup": "MIT",
    "tomli": "MIT",
    "pytz": "MIT",
}
"""Where the metadata say nothing, or not all, and of what is for Python 3.10 alone."""
_HEAD = """# Third-party components

What pip installs with leukostream, from [constraints.txt](../constraints.txt); `make third-party` writes this page, and `make
sbom` the same of one scanner's environment as CycloneDX (`dist/leukostream.cdx.json`), with what needs what. Licences
are what each component says of itself. On a scanner are those whose part is base, and those of the extras that were asked for.

What is not from there: TensorRT (NVIDIA's licence) and PyCUDA (MIT), installed by hand or by the extras `gpu` and `rtx`
([install-gpu](install-gpu.md)); libaravis (LGPL 2.1 or later), the system's. [NOTICE](../NOTICE) says what FFmpeg brings with
PyAV and OpenCV.

| component | version | licence | part |
| --- | --- | --- | --- |
"""


def table(before: str) -> str:
    """The page. `before` is the page as it is, for components that are not installed here."""
    kept = {line.split("|")[1].strip(): line for line in before.splitlines() if line.startswith("| ")}
    parts = _parts()
    lines = []
    for name, version in locked():
        try:
            licence = licence_of(distribution(name))
        except PackageNotFoundError:
            licence = _SAID_ELSEWHERE.get(name, UNKNOWN)
            if name not in _SAID_ELSEWHERE and name in kept:
                lines.append(kept[name])
                continue
        known = kept[name].split("|")[4].strip() if name in kept else "other"  # brought by what is not installed here
        part = ", ".join(parts.get(_normal(name), [known]))
        lines.append(f"| {name} | {version} | {_SAID_ELSEWHERE.get(name, licence)} | {part} |")
    return _HEAD + "\n".join(lines) + "\n"


def locked() -> list[tuple[str, str]]:
    """Name and version of every line of constraints.txt."""
    text = (ROOT / "constraints.txt").read_text()
    return re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE)


def licence_of(installed: Distribution) -> str:
    """In one short expression, from whichever of three fields says it."""
    about = installed.metadata
    if said := about["License-Expression"]:
        return str(said)
    classified = [
        each.rpartition("::")[2].strip() for each in about.get_all("Classifier") or [] if each.startswith("License ::")
    ]
    if named := [each for each in classified if each != "OSI Approved"]:
        return " or ".join(named)
    first = str(about["License"] or "").strip().splitlines()
    return first[0][:60].replace("|", "/") if first else UNKNOWN


def _parts() -> dict[str, list[str]]:
    """Which parts of leukostream bring each component, itself or by what they need."""
    found: dict[str, list[str]] = {}
    project = parse_toml((ROOT / "pyproject.toml").read_text(), "pyproject.toml", ConfigError)["project"]
    for part, texts in {"base": project["dependencies"], **project["optional-dependencies"]}.items():
        wanted = [each for each in map(Requirement, texts) if each.marker is None or each.marker.evaluate()]
        for name in _brought_by(wanted):
            found.setdefault(name, []).append(part)
    only_on_3_10 = {"exceptiongroup": ["dev"], "tomli": ["base"]}
    return only_on_3_10 | {name: ["base"] if "base" in parts else parts for name, parts in found.items()}


def _brought_by(requirements: Iterable[Requirement]) -> set[str]:
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(requirements)
    while waiting:
        each = waiting.pop()
        key = (_normal(each.name), frozenset(each.extras))
        if key not in seen:
            seen.add(key)
            waiting += _wanted(each.name, {"", *each.extras})
    return {name for name, _ in seen}


def _wanted(name: str, extras: set[str]) -> list[Requirement]:
    try:
        wanted = [Requirement(text) for text in distribution(name).requires or []]
    except PackageNotFoundError:
        return []
    return [each for each in wanted if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(table(page.read_text() if page.exists() else ""))
