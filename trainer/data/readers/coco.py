"""COCO JSON: one file of images, annotations and categories, or one a split."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from pydantic import Field

from edge.contracts.base import Wire, parse_json
from edge.contracts.errors import DataError
from edge.contracts.whole_file import read_whole
from trainer.data.account import Fate, Tally
from trainer.data.annotation import IGNORE, SPLITS, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap
from trainer.data.readers.description import CocoDataset
from trainer.data.readers.layout import ImagePlaces, LeftOut
from trainer.data.readers.orientation import annotated, view_of
from trainer.data.source_files import originals

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
    content = parse_json(_Content, read_whole(path), path, DataError)
    for kind, rows in (("image", content.images), ("category", content.categories)):
        number, times = Counter(row.id for row in rows).most_common(1)[0]
        if times > 1:
            raise DataError(f"{path} gives the {kind} id {number!r} to {times} of them; export it again.")
    return content


@dataclass(frozen=True, slots=True)
class _Listed:
    """An image of a file of annotations, under all the ids it is listed by."""

    split: Split
    file: Path
    image: Path
    row: _Picture
    marks: list[tuple[str, _Mark]]


def _marks(content: _Content, path: Path, faults: Faults) -> dict[Id, list[tuple[str, _Mark]]]:
    """Category name and annotation by image; [] for an image without cells."""
    names = {row.id: row.name for row in content.categories}
    found: dict[Id, list[tuple[str, _Mark]]] = {row.id: [] for row in content.images}
    for mark in content.annotations:
        fate = Fate.FAULTY
        with faults.of(path):
            if mark.image_id not in found:
                raise DataError(f"{path} annotates the image {mark.image_id!r}, which it does not list; export it again.")
            if mark.category_id not in names:
                raise DataError(f"{path} uses the category {mark.category_id!r}, which it does not list; export it again.")
            found[mark.image_id].append((names[mark.category_id], mark))
            fate = Fate.USED
        if fate is Fate.FAULTY:
            faults.book.loose[path] += 1
    return found


def _boxes(
    marks: list[tuple[str, _Mark]], class_map: ClassMap, where: Path, faults: Faults, tally: Tally
) -> tuple[list[Box], list[int]]:
    boxes: list[Box] = []
    labels: list[int] = []
    for name, mark in marks:
        fate = Fate.FAULTY
        with faults.of(where):
            label = class_map.label(name, where)
            fate = Fate.BACKGROUND if label is None else Fate.USED
            if label is not None:
                x, y, width, height = mark.bbox
                boxes.append((x, y, x + width, y + height))
                labels.append(IGNORE if mark.iscrowd else label)
        tally[fate] += 1
    return boxes, labels


def _listed(folder: Path, settings: CocoDataset, faults: Faults) -> list[_Listed]:
    """Each image once, with the marks of all ids that a file gives it: tools that merge projects list an image for each."""
    named = settings.annotations
    files: dict[Split, str] = {"train": named} if isinstance(named, str) else named
    found: dict[Path, _Listed] = {}
    for split in (split for split in SPLITS if split in files):
        path = folder / files[split]
        images = settings.images if isinstance(settings.images, str) else settings.images.get(split, "images")
        with faults.of(path):
            content = _read_file(path)
            marks = _marks(content, path, faults)
            if anywhere := [row.file_name for row in content.images if _is_whole(row.file_name)]:
                raise DataError(
                    f"{path} names an image by its full path, {anywhere[0]}; write it relative to {folder / images}."
                )
            places = ImagePlaces(folder / images, path.parent)
            for row in content.images:
                image = places.find(row.file_name)
                with faults.of(image):
                    one = found.setdefault(image, _Listed(split, path, image, row, []))
                    if one.file != path:
                        raise DataError(f"{path} lists {row.file_name}, which {one.file} lists too; strike it in one.")
                    if (row.width, row.height) != (one.row.width, one.row.height):
                        raise DataError(f"{path} lists {row.file_name} twice, with two sizes; export it again.")
                    one.marks.extend(marks[row.id])
                    marks[row.id] = []
            faults.book.loose[path] += sum(map(len, marks.values()))
    return list(found.values())


def _is_whole(name: str) -> bool:
    return PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()


def read_coco(folder: Path, class_map: ClassMap, settings: CocoDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images that the files of annotations list; one without annotations is a valid negative, a crowd is `IGNORE`.

    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    left_out = LeftOut(folder, settings.leave_out)
    listed = _listed(folder, settings, faults)
    found: list[Annotation] = []
    names = originals([one.image for one in listed], folder)
    for one, name in zip(listed, names, strict=True):
        tally = faults.book.image(one.image, one.file, one.row.file_name)
        if left_out.has(one.image):
            tally[Fate.USED] += len(one.marks)
            continue
        with faults.of(one.image):
            row = one.row
            view = view_of(one.image, settings.orientation)
            size = view.size_px
            if size != (row.width, row.height):
                raise DataError(
                    f"{one.file} states {row.width}x{row.height} px for {one.image}, which has {size[0]}x{size[1]}."
                )
            marked = _boxes(one.marks, class_map, one.file, faults, tally)
            boxes = checked(*marked, size, one.file, faults, tally, f"{one.file}, image {row.file_name}")
            found.append(annotated(view, *boxes, settings.um_per_px, settings.source, name, one.split))
        if not tally:
            # The image was refused before anyone looked at its marks.
            tally[Fate.FAULTY] += len(one.marks)
    return found
