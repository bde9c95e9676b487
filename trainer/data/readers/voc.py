"""PASCAL VOC: JPEGImages, Annotations/*.xml, and maybe ImageSets/Main/{train,val,test}.txt; and what other tools make of it."""

import re
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from edge.contracts.errors import DataError
from trainer.data.account import Fate, Tally
from trainer.data.annotation import IGNORE, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap, read_table, with_types
from trainer.data.readers.description import VocDataset
from trainer.data.readers.layout import LabelFiles, LeftOut, pictures, voc_parts
from trainer.data.readers.orientation import annotated, view_of
from trainer.data.readers.xml_text import read_xml
from trainer.data.source_files import PICTURES, folded, originals, read_text

LISTS: dict[Split, tuple[str, ...]] = {"train": ("train", "default"), "val": ("val",), "test": ("test",)}
"""Names of the lists of ImageSets/Main; CVAT calls that of an undivided set default."""

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
    path: Path,
    class_map: ClassMap,
    image_name: str,
    size: tuple[int, int],
    faults: Faults = STRICT,
    tally: Tally | None = None,
) -> tuple[Objects, Objects]:
    """The objects of one XML file, and those marked difficult; background classes are left out. Raises `DataError`."""
    tally = Tally() if tally is None else tally
    root = read_xml(path)
    if not _names_the_image(said := _text(root, "filename", path), image_name):
        raise DataError(f"{path} describes {said}, not {image_name}; the pair is mixed up.")
    width_px, height_px = (_number(root, f"size/{tag}", path) for tag in ("width", "height"))
    if width_px != size[0] or height_px != size[1]:
        raise DataError(f"{path} states {width_px:g}x{height_px:g} px, its image has {size[0]}x{size[1]}; which is scaled?")
    plain: Objects = ([], [])
    difficult: Objects = ([], [])
    for node in root.findall("object"):
        fate = Fate.FAULTY
        with faults.of(path):
            label = class_map.label(_text(node, "name", path), path)
            fate = Fate.BACKGROUND if label is None else fate
            if label is not None:
                if len(node.findall("bndbox")) > 1:
                    raise DataError(f"{path} has an object with several <bndbox>; write one object for each.")
                x1, y1, x2, y2 = (_number(node, f"bndbox/{tag}", path) for tag in ("xmin", "ymin", "xmax", "ymax"))
                boxes, labels = difficult if _is_difficult(node, path) else plain
                boxes.append((x1 - 1, y1 - 1, x2, y2))
                labels.append(label)
                fate = Fate.USED
        tally[fate] += 1
    return plain, difficult


def _names_the_image(said: str, image_name: str) -> bool:
    """Whether <filename> is the image's: with a folder of whatever system or none, with its suffix, another one or none."""
    name = folded(re.split(r"[/\\]", said.strip())[-1])
    wanted = folded(image_name)
    stem = wanted.rpartition(".")[0]
    return name in {wanted, stem} or (name.rpartition(".")[0] == stem and f".{name.rpartition('.')[2]}" in PICTURES)


def _types_by_number(types: Path | None) -> dict[int, str]:
    if types is None:
        return {}
    found: dict[int, str] = {}
    for row in read_table(types, ("Image", "Category")):
        try:
            number, named = int(row["Image"]), row["Category"] or ""
        except (TypeError, ValueError) as problem:
            raise DataError(f"table of types {types} has an Image that is no number ({problem}); correct it.") from problem
        if found.setdefault(number, named) != named:
            raise DataError(f"table of types {types} has two different rows for Image {number}; strike one of the two.")
    return found


def _splits(folder: Path, names: Collection[str], faults: Faults) -> dict[str, Split]:
    """By image name, without its suffix. Without any list all images are `train`, for --split-by to divide."""
    place = folder / "ImageSets" / "Main"
    every = [(split, place / f"{name}.txt") for split, called in LISTS.items() for name in called]
    lists = [(split, path) for split, path in every if path.is_file()]
    if not lists:
        if others := sorted(place.glob("*.txt")) if place.is_dir() else []:
            raise DataError(f"{place} has {others[0].name}, but neither train.txt, val.txt nor test.txt; rename the lists.")
        return dict.fromkeys(names, "train")
    known = {folded(name): name for name in names}
    found: dict[str, Split] = {}
    for split, path in lists:
        for line in filter(None, map(str.strip, read_text(path).splitlines())):
            with faults.of(path):
                listed = line.replace("\\", "/")
                name = known.get(folded(listed)) or known.get(folded(listed.rpartition(".")[0]))
                if name is None:
                    raise DataError(f"{path} lists {line}, of which {folder / 'JPEGImages'} has none; copy it or strike it.")
                if found.get(name, split) != split:
                    raise DataError(f"{path} lists {line}, which is in {found[name]} too; strike it in one of the two.")
                found[name] = split
    return found


def read_voc(folder: Path, class_map: ClassMap, settings: VocDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images of a VOC data set. `types` (Image, Category) lists leukocyte types by the number in the image's name.

    An object marked difficult is `IGNORE`: PASCAL's AP (Everingham et al. 2010) leaves it out of the truth.
    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    types = None if settings.types is None else folder / settings.types
    table = _types_by_number(types)
    left_out = LeftOut(folder, settings.leave_out)
    found: list[tuple[Path, Path, Split]] = []
    for part in voc_parts(folder):
        images = pictures(part, left_out)
        with faults.of(part.images):
            if not images:
                raise DataError(f"image folder {part.images} has no image; check the path in the description.")
            labels = LabelFiles(part, images, ".xml")
            keys = {path: path.relative_to(part.images).with_suffix("").as_posix() for path in images}
            splits = (
                _splits(folder, set(keys.values()), faults) if part.split is None else dict.fromkeys(keys.values(), part.split)
            )
            for path in images:
                with faults.of(path):
                    if keys[path] not in splits:
                        raise DataError(f"{path} is in no list of {folder / 'ImageSets' / 'Main'}; add its name to one.")
                    found.append((path, labels.of(path), splits[keys[path]]))
    rows: list[Annotation] = []
    for (path, label_file, split), name in zip(found, originals([path for path, _, _ in found], folder), strict=True):
        with faults.of(path):
            tally = faults.book.image(path, label_file)
            view = view_of(path, settings.orientation)
            plain: Objects = ([], [])
            difficult: Objects = ([], [])
            if label_file.is_file():
                plain, difficult = read_objects(label_file, class_map, path.name, view.size_px, faults, tally)
            elif settings.unannotated == "error":
                raise DataError(
                    f"label file {label_file} is missing; an image without cells needs one without objects, "
                    "or `unannotated: negative`."
                )
            number = re.search(r"(\d+)$", path.stem)
            named = table.get(int(number[1]), "") if number is not None else ""
            boxes, kept = checked(*plain, view.size_px, label_file, faults, tally)
            hard_boxes, hard = checked(*difficult, view.size_px, label_file, faults, tally)
            # Difficult leukocytes are among those that the table names: without them a type might go to the wrong cell.
            marks = np.concatenate([boxes, hard_boxes]), [*kept, *hard]
            typed = with_types(*marks, named, class_map, types or label_file, view.size_px)
            typed[1][len(kept) : len(marks[1])] = IGNORE
            faults.book.added[path] += len(typed[0]) - len(marks[0])
            rows.append(annotated(view, *typed, settings.um_per_px, settings.source, name, split))
    return rows
