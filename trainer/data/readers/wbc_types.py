"""Types of leukocytes given per image, for boxes that only say WBC."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge.contracts.detections import Float32, Int32
from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, UNTYPED_WBC
from trainer.data.readers.class_map import ClassMap
from trainer.data.text_file import read_text


def read_table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that must have `columns`. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"table of types {path} does not exist; copy it or take `types` out of the description.")
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(f"table of types {path} lacks the column {missing[0]!r}; it has {reader.fieldnames}.")
    return list(reader)


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
