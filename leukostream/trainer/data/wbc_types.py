"""Types of leukocytes given per image, for boxes that only say WBC."""

import csv
from collections.abc import Iterable
from pathlib import Path

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import UNTYPED_WBC
from leukostream.trainer.data.class_map import ClassMap


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that must have `columns`. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"table of types {path} does not exist; copy it or take `types` out of the description.")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"table of types {path} lacks the column {missing[0]!r}; it has {reader.fieldnames}.")
        return list(reader)


def apply_types(labels: list[int], types: str, class_map: ClassMap, where: Path) -> list[int]:
    """Give the untyped leukocytes of one image the type its row names ("NEUTROPHIL, EOSINOPHIL" names two).

    Only where nothing has to be guessed: as many types as leukocytes, and all the same. Otherwise they stay untyped.
    """
    names = [part.strip() for part in types.split(",") if part.strip()]
    typed = [class_map.label(name, where) for name in names]
    untyped = labels.count(UNTYPED_WBC)
    if not typed or len(typed) != untyped or len(set(typed)) != 1 or typed[0] is None:
        return labels
    return [typed[0] if label == UNTYPED_WBC else label for label in labels]
