"""PASCAL VOC: JPEGImages, Annotations/*.xml, ImageSets/Main/{train,val,test}.txt."""

import re
from pathlib import Path
from xml.etree import ElementTree

from leukostream.edge.contracts.errors import DataError
from leukostream.trainer.data.annotation import Annotation, Split, checked_boxes, marked_once
from leukostream.trainer.data.class_map import ClassMap
from leukostream.trainer.data.image_file import image_size, images_in
from leukostream.trainer.data.wbc_types import read_table, with_types

SPLITS: tuple[Split, ...] = ("train", "val", "test")
Box = tuple[float, float, float, float]


def _text(node: ElementTree.Element, tag: str, where: Path) -> str:
    text = node.findtext(tag)
    if text is None:
        raise DataError(f"{where} lacks <{tag}> in <{node.tag}>; it is not PASCAL VOC.")
    return text.strip()


def read_objects(path: Path, class_map: ClassMap, image_name: str, size: tuple[int, int]) -> tuple[list[Box], list[int]]:
    """Boxes (0-based, exclusive end) and labels of one XML file; background classes are left out. Raises `DataError`."""
    if not path.is_file():
        raise DataError(f"label file {path} is missing; an image without cells needs one without objects.")
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as problem:
        raise DataError(f"label file {path} is not XML ({problem}); copy it again.") from problem
    if Path(_text(root, "filename", path)).stem != Path(image_name).stem:
        raise DataError(f"{path} describes {_text(root, 'filename', path)}, not {image_name}; the pair is mixed up.")
    boxes: list[Box] = []
    labels: list[int] = []
    try:
        stated = (int(_text(root, "size/width", path)), int(_text(root, "size/height", path)))
        if stated != size:
            raise DataError(f"{path} states {stated[0]}x{stated[1]} px, its image has {size[0]}x{size[1]}; which is scaled?")
        for node in root.findall("object"):
            label = class_map.label(_text(node, "name", path), path)
            if label is None:
                continue
            x1, y1, x2, y2 = (float(_text(node, f"bndbox/{tag}", path)) for tag in ("xmin", "ymin", "xmax", "ymax"))
            boxes.append((x1 - 1, y1 - 1, x2, y2))
            labels.append(label)
    except ValueError as problem:
        raise DataError(f"{path} has a coordinate that is no number ({problem}); correct it.") from problem
    return boxes, labels


def _types_by_number(types: Path | None) -> dict[int, str]:
    if types is None:
        return {}
    rows = read_table(types, ("Image", "Category"))
    return {int(row["Image"]): row["Category"] or "" for row in rows}


def _splits(folder: Path) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for split in SPLITS:
        path = folder / "ImageSets" / "Main" / f"{split}.txt"
        if not path.is_file():
            raise DataError(f"{path} is missing; it lists the images of the split, one name a line.")
        found.update({name: split for name in path.read_text(encoding="utf-8").split()})
    return found


def read_voc(folder: Path, class_map: ClassMap, types: Path | None, source: str, um_per_px: float) -> list[Annotation]:
    """All images of a VOC data set. `types` (Image, Category) lists leukocyte types by the number in the image's name."""
    table, splits = _types_by_number(types), _splits(folder)
    found: list[Annotation] = []
    for path in images_in(folder / "JPEGImages"):
        if path.stem not in splits:
            raise DataError(f"{path} is in no list of {folder / 'ImageSets' / 'Main'}; add its name to one.")
        size = image_size(path)
        label_file = folder / "Annotations" / f"{path.stem}.xml"
        boxes, labels = read_objects(label_file, class_map, path.name, size)
        number = re.search(r"(\d+)$", path.stem)
        named = table.get(int(number[1]), "") if number is not None else ""
        once = marked_once(checked_boxes(boxes, *size, label_file), labels)
        found.append(
            Annotation(
                path, size[0], size[1], um_per_px, *with_types(*once, named, class_map, types or label_file, size),
                source, path.stem, splits[path.stem],
            )
        )  # fmt: skip
    return found
