"""YOLO text labels: images/SPLIT/*.jpg, labels/SPLIT/*.txt, data.yaml, and a table of sources and types."""

from pathlib import Path

import yaml

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import UNTYPED_WBC, Annotation, Split, checked_boxes, marked_once
from leukostream.trainer.data.class_map import ClassMap
from leukostream.trainer.data.image_file import image_size, images_in
from leukostream.trainer.data.wbc_types import read_table, with_types

SPLITS: tuple[Split, ...] = ("train", "val", "test")
Box = tuple[float, float, float, float]


def _class_names(folder: Path) -> list[str]:
    path = folder / "data.yaml"
    if not path.is_file():
        raise DataError(f"{folder} has no data.yaml; a YOLO data set names its classes there.")
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names)]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path} has no list `names`; write the class names there in label order.")
    return [str(name) for name in names]


def read_labels(path: Path, names: list[str], class_map: ClassMap, size: tuple[int, int]) -> tuple[list[Box], list[int]]:
    """Boxes in pixels and labels of one text file; background classes are left out. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"label file {path} is missing; an image without cells needs an empty one.")
    boxes: list[Box] = []
    labels: list[int] = []
    width_px, height_px = size
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            index, x, y, w, h = (float(part) for part in line.split())
            name = names[int(index)]
        except (ValueError, IndexError) as problem:
            raise DataError(
                f"{path} line {number} is not `class x y width height` with a class below {len(names)}."
            ) from problem
        label = class_map.label(name, path)
        if label is not None:
            boxes.append(((x - w / 2) * width_px, (y - h / 2) * height_px, (x + w / 2) * width_px, (y + h / 2) * height_px))
            labels.append(label)
    return boxes, labels


def read_yolo(folder: Path, class_map: ClassMap, types: Path, um_per_px: dict[str, float]) -> list[Annotation]:
    """All images of a YOLO data set whose `types` table (image, source, original_name, wbc_type, n_wbc) lists them.

    `um_per_px` is by source. Raises `DataError` naming the file at fault.
    """
    names = _class_names(folder)
    columns = ("image", "source", "original_name", "wbc_type", "n_wbc")
    table = {row["image"]: row for row in read_table(types, columns)}
    found: list[Annotation] = []
    for split in SPLITS:
        for path in images_in(folder / "images" / split):
            row = table.get(f"{split}/{path.name}")
            if row is None:
                raise DataError(f"{types} has no row for {split}/{path.name}; add one.")
            if row["source"] not in um_per_px:
                raise DataError(f"{types} names the source {row['source']!r}, for which the description gives no um_per_px.")
            size = image_size(path)
            label_file = folder / "labels" / split / f"{path.stem}.txt"
            boxes, labels = read_labels(label_file, names, class_map, size)
            types_row = row["wbc_type"] if row["n_wbc"] == str(labels.count(UNTYPED_WBC)) else ""
            once = marked_once(checked_boxes(boxes, *size, label_file), labels)
            found.append(
                Annotation(
                    path, size[0], size[1], um_per_px[row["source"]], *with_types(*once, types_row, class_map, types, size),
                    row["source"], Path(row["original_name"]).stem, split,
                )
            )  # fmt: skip
    return found
