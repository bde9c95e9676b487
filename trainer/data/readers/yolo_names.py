"""What the numbers of YOLO labels mean: the class names that each tool writes elsewhere, held against each other."""

from collections.abc import Iterator
from pathlib import Path

from edge.camera.decode import IMAGE_SUFFIXES
from edge.contracts.base import Wire, parse_json
from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole
from edge.files import parse_yaml
from trainer.data.source_files import files_under, read_text

LISTS = ("classes.txt", "obj.names")
"""A name a line, the first of class 0: labelImg, which may put it beside the labels, and CVAT."""

NOT_LABELS = frozenset({*LISTS, "train.txt", "val.txt", "valid.txt", "test.txt", "predefined_classes.txt"})
"""Texts beside labels that hold none, and what else a tool writes there."""


class _Category(Wire):
    id: int
    name: str


class _Notes(Wire):
    categories: tuple[_Category, ...]


def yolo_names(folder: Path) -> dict[int, str]:
    """Class number -> name. Numbers may begin at 1 and leave some out, as the file that gives them says.

    Raises `DataError` where no file gives names, one cannot be read, or two contradict each other.
    """
    names: dict[int, str] = {}
    said_by: dict[int, Path] = {}
    for path, found in _sources(folder):
        for number, name in found.items():
            if names.setdefault(number, name) != name:
                raise DataError(
                    f"class {number} is {name!r} in {path} and {names[number]!r} in {said_by[number]}; "
                    "correct the one that the labels were not made with, or remove it."
                )
            said_by.setdefault(number, path)
    if not names:
        raise DataError(
            f"{folder} has no data.yaml (nor classes.txt nor obj.names); a YOLO data set names its classes there, "
            "the first of them class 0."
        )
    return names


def description_of(folder: Path) -> tuple[Path, dict[str, object]] | None:
    """The YAML file of a YOLO data set and its keys: data.yaml, or the only other one that has `names`. Raises `DataError`."""
    usual = folder / "data.yaml"
    paths = [usual] if usual.is_file() else sorted(path for path in folder.glob("*.y*ml") if path.is_file())
    found: list[tuple[Path, dict[str, object]]] = []
    for path in paths:
        content = parse_yaml(read_text(path), str(path), DataError)
        if isinstance(content, dict) and ("names" in content or path == usual):
            found.append((path, {str(key): value for key, value in content.items()}))
        elif path == usual:
            raise DataError(f"{path} has no list `names`; write the class names there in label order.")
    if len(found) > 1:
        raise DataError(f"{found[0][0]} and {found[1][0]} both describe {folder}; call the right one data.yaml.")
    return found[0] if found else None


def _sources(folder: Path) -> Iterator[tuple[Path, dict[int, str]]]:
    described = description_of(folder)
    if described:
        path, content = described
        yield path, _from_yaml(path, content)
    for path in files_under(folder):
        if path.name in LISTS:
            lines = read_text(path).rstrip().splitlines()
            yield path, {number: line.strip() for number, line in enumerate(lines)}
    notes = folder / "notes.json"
    if notes.is_file():
        yield notes, {row.id: row.name for row in parse_json(_Notes, read_whole(notes), notes, DataError).categories}


def _from_yaml(path: Path, content: dict[str, object]) -> dict[int, str]:
    names = content.get("names")
    table: dict[object, object] = dict(names) if isinstance(names, dict) else {}
    if isinstance(names, list):
        table = dict(enumerate(names))
    found: dict[int, str] = {}
    for key, name in table.items():
        number = _number(key)
        if number is None or not isinstance(name, str | int | float):
            raise DataError(f"{path} has the entry `{key}: {name}` in `names`; write a class number and its name.")
        if number in found:
            raise DataError(f"{path} names class {number} twice, once in quotes and once without; strike one of the two.")
        found[number] = str(name)
    if not found:
        raise DataError(f"{path} has no list `names`; write the class names there in label order.")
    count = content.get("nc", len(found))
    if count not in (len(found), max(found) + 1):
        raise DataError(f"{path} says nc: {count} and names {len(found)} classes; correct the one that is wrong.")
    return found


def _number(key: object) -> int | None:
    """Some tools write the numbers in quotes; sorted as words, 10 would come before 2."""
    if isinstance(key, str) and key.strip().isdecimal():
        return int(key)
    return key if isinstance(key, int) and not isinstance(key, bool) and key >= 0 else None


def is_labels(path: Path) -> bool:
    """Whether a text holds YOLO labels: numbers, at least five a line; beside its image or among labels also nothing or
    nonsense."""
    if path.name.lower() in NOT_LABELS or path.name.lower().startswith("readme"):
        return False
    try:
        lines = [line.split() for line in read_whole(path).decode("utf-8-sig").splitlines() if line.strip()]
        if lines:
            return all(len([float(word) for word in line]) >= 5 for line in lines)
    except ValueError:
        pass
    among_labels = "labels" in (part.lower() for part in path.parts)
    return among_labels or any(path.with_suffix(suffix).exists() for suffix in IMAGE_SUFFIXES)
