"""COCO JSON: one file of images, annotations and categories, or one a split."""

from collections import Counter
from pathlib import Path

import numpy as np
from pydantic import Field

from edge.contracts.base import Wire, parse_json
from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, SPLITS, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap
from trainer.data.readers.description import CocoDataset
from trainer.data.source_files import image_size, originals

Id = int | str


class _Picture(Wire):
    id: Id
    file_name: str
    width: int
    height: int


class _Mark(Wire):
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Category(Wire):
    id: Id
    name: str


class _Content(Wire):
    """What is read of a file; its other keys (info, licenses, segmentation) do not matter here."""

    images: tuple[_Picture, ...] = Field(min_length=1)
    annotations: tuple[_Mark, ...]
    categories: tuple[_Category, ...] = Field(min_length=1)


def _read_file(path: Path) -> _Content:
    if not path.is_file():
        raise DataError(f"file of annotations {path} does not exist; correct `annotations` in the description.")
    content = parse_json(_Content, path.read_bytes(), path, DataError)
    for kind, rows in (("image", content.images), ("category", content.categories)):
        number, times = Counter(row.id for row in rows).most_common(1)[0]
        if times > 1:
            raise DataError(f"{path} gives the {kind} id {number!r} to {times} of them; export it again.")
    return content


def _marks(content: _Content, path: Path, faults: Faults) -> dict[Id, list[tuple[str, _Mark]]]:
    """Category name and annotation by image; [] for an image without cells."""
    names = {row.id: row.name for row in content.categories}
    found: dict[Id, list[tuple[str, _Mark]]] = {row.id: [] for row in content.images}
    for mark in content.annotations:
        with faults.of(path):
            if mark.image_id not in found:
                raise DataError(f"{path} annotates the image {mark.image_id!r}, which it does not list; export it again.")
            if mark.category_id not in names:
                raise DataError(f"{path} uses the category {mark.category_id!r}, which it does not list; export it again.")
            found[mark.image_id].append((names[mark.category_id], mark))
    return found


def _boxes(marks: list[tuple[str, _Mark]], class_map: ClassMap, where: Path, faults: Faults) -> tuple[list[Box], list[int]]:
    boxes: list[Box] = []
    labels: list[int] = []
    for name, mark in marks:
        with faults.of(where):
            label = class_map.label(name, where)
            if label is not None:
                x, y, width, height = mark.bbox
                boxes.append((x, y, x + width, y + height))
                labels.append(IGNORE if mark.iscrowd else label)
    return boxes, labels


def read_coco(folder: Path, class_map: ClassMap, settings: CocoDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images that the files of annotations list; one without annotations is a valid negative, a crowd is `IGNORE`.

    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    named = settings.annotations
    files: dict[Split, str] = {"train": named} if isinstance(named, str) else named
    listed: list[tuple[Split, Path, Path, _Picture, list[tuple[str, _Mark]]]] = []
    for split in (split for split in SPLITS if split in files):
        path = folder / files[split]
        images = settings.images if isinstance(settings.images, str) else settings.images.get(split, "images")
        with faults.of(path):
            content = _read_file(path)
            marks = _marks(content, path, faults)
            if anywhere := [row.file_name for row in content.images if Path(row.file_name).is_absolute()]:
                raise DataError(
                    f"{path} names an image by its full path, {anywhere[0]}; write it relative to {folder / images}."
                )
            for row in content.images:
                listed.append((split, path, folder / images / row.file_name.replace("\\", "/"), row, marks[row.id]))
    found: list[Annotation] = []
    names = originals([image for _, _, image, _, _ in listed], folder)
    for (split, path, image, row, of_image), name in zip(listed, names, strict=True):
        where = path.with_name(f"{path.name}, image {row.file_name}")
        with faults.of(image):
            size = image_size(image)
            if size != (row.width, row.height):
                raise DataError(f"{path} states {row.width}x{row.height} px for {image}, which has {size[0]}x{size[1]}.")
            boxes, labels = checked(*_boxes(of_image, class_map, path, faults), size, where, faults)
            found.append(
                Annotation(image, *size, settings.um_per_px, boxes, np.array(labels, np.int32), settings.source, name, split)
            )
    return found
