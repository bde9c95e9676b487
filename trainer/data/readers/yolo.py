"""YOLO text labels: a folder of images and one of texts for each split, data.yaml, and maybe a table of sources and types."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from edge.contracts.errors import DataError
from trainer.data.annotation import UNTYPED_WBC, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap, read_table, with_types
from trainer.data.readers.description import YoloDataset
from trainer.data.source_files import image_size, images_in, originals, read_text

FOLDERS: tuple[tuple[Split, str], ...] = (("train", "train"), ("val", "val"), ("val", "valid"), ("test", "test"))


def _class_names(folder: Path) -> list[str]:
    plain = folder / "classes.txt"
    if plain.is_file():
        return read_text(plain).splitlines()
    path = folder / "data.yaml"
    if not path.is_file():
        raise DataError(f"{folder} has no data.yaml (nor classes.txt); a YOLO data set names its classes there.")
    try:
        content = yaml.safe_load(read_text(path))
    except yaml.YAMLError as problem:
        raise DataError(f"{path} is not YAML ({str(problem).splitlines()[0]}); correct it.") from problem
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names)]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path} has no list `names`; write the class names there in label order.")
    return [str(name) for name in names]


def _parts(folder: Path) -> Iterator[tuple[Split, Path, Path]]:
    """Split, images, labels: images/train beside labels/train, or train/images beside train/labels, or no split at all."""
    any_split = False
    for split, name in FOLDERS:
        for images, labels in ((Path("images", name), Path("labels", name)), (Path(name, "images"), Path(name, "labels"))):
            if (folder / images).is_dir():
                any_split = True
                yield split, folder / images, folder / labels
    if not any_split:
        yield "train", folder / "images", folder / "labels"


def read_labels(
    path: Path, names: list[str], class_map: ClassMap, size: tuple[int, int], faults: Faults = STRICT
) -> tuple[list[Box], list[int]]:
    """Boxes in pixels and labels of one text file; background classes are left out. Raises `DataError`."""
    boxes: list[Box] = []
    labels: list[int] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        with faults.of(path):
            name, box = _parsed(line, names, size, f"{path} line {number}")
            label = class_map.label(name, path)
            if label is not None:
                boxes.append(box)
                labels.append(label)
    return boxes, labels


def _parsed(line: str, names: list[str], size: tuple[int, int], where: str) -> tuple[str, Box]:
    wrong = f"{where} is not `class x y width height` with a class below {len(names)}; write one cell's box a line."
    try:
        first, *rest = line.split()
        index = int(first)
        x, y, w, h = (float(part) for part in rest)
    except ValueError as problem:
        raise DataError(wrong) from problem
    if not 0 <= index < len(names):
        raise DataError(wrong)
    width_px, height_px = size
    return names[index], ((x - w / 2) * width_px, (y - h / 2) * height_px, (x + w / 2) * width_px, (y + h / 2) * height_px)


def read_yolo(folder: Path, class_map: ClassMap, settings: YoloDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images of a YOLO data set. A `types` table (image, source, original_name, wbc_type, n_wbc) must list each of them.

    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    names = _class_names(folder)
    table: dict[str, dict[str, str]] = {}
    if settings.types is not None:
        columns = ("image", "source", "original_name", "wbc_type", "n_wbc")
        table = {row["image"]: row for row in read_table(folder / settings.types, columns)}
    parts = [(split, path, labels) for split, images, labels in _parts(folder) for path in images_in(images)]
    found: list[Annotation] = []
    for (split, path, folder_of_labels), name in zip(parts, originals([path for _, path, _ in parts], folder), strict=True):
        with faults.of(path):
            size = image_size(path)
            label_file = folder_of_labels / f"{path.stem}.txt"
            boxes: list[Box] = []
            labels: list[int] = []
            if label_file.is_file():
                boxes, labels = read_labels(label_file, names, class_map, size, faults)
            elif settings.unannotated == "error":
                raise DataError(
                    f"label file {label_file} is missing; an image without cells needs an empty one, "
                    "or `unannotated: negative`."
                )
            once = checked(boxes, labels, size, label_file, faults)
            if settings.types is None:
                scale, source = settings.um_per_px, settings.source or ""
                assert isinstance(scale, float)
                row = Annotation(path, *size, scale, once[0], np.array(once[1], np.int32), source, name, split)
            else:
                types = folder / settings.types
                entry, scale = _entry(table, f"{split}/{path.name}", types, settings.um_per_px)
                named = entry["wbc_type"] if entry["n_wbc"] == str(labels.count(UNTYPED_WBC)) else ""
                typed = with_types(*once, named, class_map, types, size)
                row = Annotation(path, *size, scale, *typed, entry["source"], Path(entry["original_name"]).stem, split)
            found.append(row)
    return found


def _entry(
    table: dict[str, dict[str, str]], name: str, types: Path, scales: float | dict[str, float]
) -> tuple[dict[str, str], float]:
    entry = table.get(name)
    if entry is None:
        raise DataError(f"{types} has no row for {name}; add one.")
    if not isinstance(scales, dict) or entry["source"] not in scales:
        raise DataError(f"{types} names the source {entry['source']!r}, for which the description gives no um_per_px.")
    return entry, scales[entry["source"]]
