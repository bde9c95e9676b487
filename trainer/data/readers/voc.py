"""PASCAL VOC: JPEGImages, Annotations/*.xml, and maybe ImageSets/Main/{train,val,test}.txt."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, SPLITS, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap, read_table, with_types
from trainer.data.readers.description import VocDataset
from trainer.data.source_files import image_size, images_in, read_text

Objects = tuple[list[Box], list[int]]
"""Boxes (0-based, exclusive end) and labels."""


def _text(node: ElementTree.Element, tag: str, where: Path) -> str:
    text = node.findtext(tag)
    if text is None:
        raise DataError(f"{where} lacks <{tag}> in <{node.tag}>; it is not PASCAL VOC.")
    return text.strip()


def _number(node: ElementTree.Element, tag: str, where: Path) -> float:
    try:
        return float(_text(node, tag, where))
    except ValueError as problem:
        raise DataError(f"{where} has a <{tag}> that is no number ({problem}); correct it.") from problem


def _is_difficult(node: ElementTree.Element, where: Path) -> bool:
    said = node.findtext("difficult", "0").strip()
    if said not in {"0", "1"}:
        raise DataError(f"{where} has the <difficult> {said!r}; write 1 for an object that nothing is tested on, else 0.")
    return said == "1"


def read_objects(
    path: Path, class_map: ClassMap, image_name: str, size: tuple[int, int], faults: Faults = STRICT
) -> tuple[Objects, Objects]:
    """The objects of one XML file, and those marked difficult; background classes are left out. Raises `DataError`."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as problem:
        raise DataError(f"label file {path} is not XML ({problem}); copy it again.") from problem
    if Path(_text(root, "filename", path)).stem != Path(image_name).stem:
        raise DataError(f"{path} describes {_text(root, 'filename', path)}, not {image_name}; the pair is mixed up.")
    width_px, height_px = (_number(root, f"size/{tag}", path) for tag in ("width", "height"))
    if width_px != size[0] or height_px != size[1]:
        raise DataError(f"{path} states {width_px:g}x{height_px:g} px, its image has {size[0]}x{size[1]}; which is scaled?")
    plain: Objects = ([], [])
    difficult: Objects = ([], [])
    for node in root.findall("object"):
        with faults.of(path):
            label = class_map.label(_text(node, "name", path), path)
            if label is not None:
                x1, y1, x2, y2 = (_number(node, f"bndbox/{tag}", path) for tag in ("xmin", "ymin", "xmax", "ymax"))
                boxes, labels = difficult if _is_difficult(node, path) else plain
                boxes.append((x1 - 1, y1 - 1, x2, y2))
                labels.append(label)
    return plain, difficult


def _types_by_number(types: Path | None) -> dict[int, str]:
    if types is None:
        return {}
    rows = read_table(types, ("Image", "Category"))
    try:
        return {int(row["Image"]): row["Category"] or "" for row in rows}
    except ValueError as problem:
        raise DataError(f"table of types {types} has an Image that is no number ({problem}); correct it.") from problem


def _splits(folder: Path, names: set[str], faults: Faults) -> dict[str, Split]:
    """By image name. Without any list all images are `train`, for --split-by to divide."""
    lists = {split: folder / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    lists = {split: path for split, path in lists.items() if path.is_file()}
    if not lists:
        return dict.fromkeys(names, "train")
    found: dict[str, Split] = {}
    for split, path in lists.items():
        for name in filter(None, map(str.strip, read_text(path).splitlines())):
            with faults.of(path):
                if name not in names:
                    raise DataError(f"{path} lists {name}, of which {folder / 'JPEGImages'} has none; copy it or strike it.")
                if found.get(name, split) != split:
                    raise DataError(f"{path} lists {name}, which is in {found[name]} too; strike it in one of the two.")
                found[name] = split
    return found


def read_voc(folder: Path, class_map: ClassMap, settings: VocDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images of a VOC data set. `types` (Image, Category) lists leukocyte types by the number in the image's name.

    An object marked difficult is `IGNORE`: PASCAL's AP (Everingham et al. 2010) leaves it out of the truth.
    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    types = None if settings.types is None else folder / settings.types
    table = _types_by_number(types)
    paths = images_in(folder / "JPEGImages")
    splits = _splits(folder, {path.stem for path in paths}, faults)
    found: list[Annotation] = []
    for path in paths:
        with faults.of(path):
            if path.stem not in splits:
                raise DataError(f"{path} is in no list of {folder / 'ImageSets' / 'Main'}; add its name to one.")
            size = image_size(path)
            label_file = folder / "Annotations" / f"{path.stem}.xml"
            plain: Objects = ([], [])
            difficult: Objects = ([], [])
            if label_file.is_file():
                plain, difficult = read_objects(label_file, class_map, path.name, size, faults)
            elif settings.unannotated == "error":
                raise DataError(
                    f"label file {label_file} is missing; an image without cells needs one without objects, "
                    "or `unannotated: negative`."
                )
            number = re.search(r"(\d+)$", path.stem)
            named = table.get(int(number[1]), "") if number is not None else ""
            boxes, labels = checked(*plain, size, label_file, faults)
            hard_boxes, hard_labels = checked(*difficult, size, label_file, faults)
            # Difficult leukocytes are among those that the table names: without them a type might go to the wrong cell.
            marks = np.concatenate([boxes, hard_boxes]), [*labels, *hard_labels]
            typed = with_types(*marks, named, class_map, types or label_file, size)
            typed[1][len(labels) : len(marks[1])] = IGNORE
            found.append(Annotation(path, *size, settings.um_per_px, *typed, settings.source, path.stem, splits[path.stem]))
    return found
