"""What a data set's own names mean here: class maps, and types of leukocytes that a table gives per image."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.contracts.cells import INDEX
from edge.contracts.detections import Float32, Int32
from edge.contracts.errors import DataError
from edge.contracts.label_lines import SPECIAL_LABELS
from edge.files import parse_yaml
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.data.faults import UnmappedClass
from trainer.data.source_files import read_text

BACKGROUND = "background"
SPECIAL = dict(zip(SPECIAL_LABELS, (UNTYPED_WBC, UNTYPED_NEUTROPHIL, IGNORE), strict=True))
LABEL_NAMES = {**{index: name for name, index in INDEX.items()}, **{label: name for name, label in SPECIAL.items()}}
"""Label -> the name that class maps, label lines and reports give it."""


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Source name -> label; None is background, of which no box is kept."""

    path: Path
    labels: dict[str, int | None]

    def label(self, name: str, where: Path) -> int | None:
        """The label of a source's class name. Raises `UnmappedClass` when the map does not have it."""
        if name not in self.labels:
            raise UnmappedClass(f"{where} has the class {name!r}, which {self.path} does not map; add a line for it there.")
        return self.labels[name]


def load_class_map(path: Path) -> ClassMap:
    """Read `{source name: class name | untyped_wbc | ignore | background}`. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"class map {path} does not exist; write one that maps each source name to a class.")
    content = parse_yaml(read_text(path), f"class map {path}", DataError)
    if not isinstance(content, dict) or not content:
        raise DataError(f"class map {path} is not a table of `source name: class`; write one line for each source name.")
    labels: dict[str, int | None] = {}
    for name, target in content.items():
        if str(name) in labels:
            raise DataError(f"class map {path} maps {str(name)!r} twice, in quotes and without; strike one of the two.")
        labels[str(name)] = _label_of(name, target, path)
    return ClassMap(path, labels)


def _label_of(name: object, target: object, path: Path) -> int | None:
    if isinstance(target, str):
        if target == BACKGROUND:
            return None
        if target in SPECIAL or target in INDEX:
            return SPECIAL[target] if target in SPECIAL else INDEX[target]
    raise DataError(
        f"class map {path} maps {name!r} to {target!r}, which is no class; "
        f"use one of {', '.join(INDEX)}, {', '.join(SPECIAL)} or {BACKGROUND}."
    )


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that must have each of `columns` once. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"table of types {path} does not exist; copy it or take `types` out of the description.")
    reader = csv.DictReader(io.StringIO(read_text(path)))
    try:
        names = list(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as problem:
        raise DataError(f"table of types {path} is not CSV ({problem}, line {reader.line_num}); save it again.") from problem
    if twice := [name for name in columns if names.count(name) > 1]:
        raise DataError(f"table of types {path} has the column {twice[0]!r} twice; strike one of the two.")
    missing = [name for name in columns if name not in names]
    if missing:
        raise DataError(f"table of types {path} lacks the column {missing[0]!r}; it has {names}.")
    return rows


def with_types(
    boxes: Float32, labels: list[int], types: str, class_map: ClassMap, where: Path, size: tuple[int, int]
) -> tuple[Float32, Int32]:
    """Boxes and labels of one image of `size` (width, height) after its row of types ("NEUTROPHIL, EOSINOPHIL" names two).

    Types are given only where nothing has to be guessed: as many as there are untyped leukocytes, and all the same. Where the
    row names more leukocytes than were marked, one is unmarked, so the whole image also becomes an ignored region: nothing in
    it can be held for background.
    """
    named = [class_map.label(part.strip(), where) for part in types.split(",") if part.strip()]
    untyped = labels.count(UNTYPED_WBC)
    if len(named) > untyped:
        whole = np.array([[0, 0, *size]], np.float32)
        return np.concatenate([boxes, whole]), np.array([*labels, IGNORE], np.int32)
    if len(named) == untyped and len(set(named)) == 1 and named[0] is not None:
        labels = [named[0] if label == UNTYPED_WBC else label for label in labels]
    return boxes, np.array(labels, np.int32)
