"""YOLO text labels: folders of images and of texts, the names of their classes, and maybe a table of sources and types."""

from collections.abc import Mapping
from pathlib import Path

from edge.contracts.errors import DataError
from trainer.data.account import Fate, Tally
from trainer.data.annotation import SPLITS, UNTYPED_WBC, Annotation, Box, Split, checked
from trainer.data.faults import STRICT, Faults
from trainer.data.readers.class_map import ClassMap, read_table, with_types
from trainer.data.readers.description import YoloDataset
from trainer.data.readers.layout import LabelFiles, LeftOut, Part, inside, pictures, split_folders, yolo_labels, yolo_parts
from trainer.data.readers.orientation import annotated, view_of
from trainer.data.readers.yolo_names import description_of, yolo_names
from trainer.data.source_files import originals, read_text

TYPES = ("image", "source", "original_name", "wbc_type", "n_wbc")


def _named_parts(folder: Path, faults: Faults) -> dict[Split, list[Part]]:
    """The parts that the data set's own YAML file names: folders, or texts that list images."""
    described = description_of(folder)
    if described is None:
        return {}
    path, content = described
    by_name = {split for split, _ in split_folders(folder)}
    found: dict[Split, list[Part]] = {}
    for split in SPLITS:
        entries = content.get(split) or ((content.get("valid") or ()) if split == "val" else ())
        for entry in [entries] if isinstance(entries, str) else entries if isinstance(entries, list) else ():
            with faults.of(path):
                place = inside(folder, str(entry), str(content.get("path") or ""))
                if place is not None:
                    parts = _listed(split, place, folder, path) if place.is_file() else [_part(split, place, folder)]
                    found.setdefault(split, []).extend(parts)
                elif split not in by_name:
                    raise DataError(f"{path} names {entry} for {split}, which is not in {folder}; correct it or strike it.")
    return found


def _part(split: Split, images: Path, folder: Path) -> Part:
    return Part(split, images, yolo_labels(images, folder))


def _listed(split: Split, listing: Path, folder: Path, described: Path) -> list[Part]:
    by_folder: dict[Path, set[Path]] = {}
    for line in filter(None, map(str.strip, read_text(listing).splitlines())):
        image = inside(folder, line, listed=True)
        if image is None:
            raise DataError(f"{listing} lists {line}, which is not in {folder}; correct it or strike it.")
        by_folder.setdefault(image.parent, set()).add(image)
    if not by_folder:
        raise DataError(f"{listing}, which {described} names for {split}, lists no image; correct it or strike it.")
    return [Part(split, one, yolo_labels(one, folder), frozenset(images)) for one, images in sorted(by_folder.items())]


def read_labels(
    path: Path,
    names: Mapping[int, str],
    class_map: ClassMap,
    size: tuple[int, int],
    faults: Faults = STRICT,
    tally: Tally | None = None,
) -> tuple[list[Box], list[int]]:
    """Boxes in pixels and labels of one text file; background classes are left out. Raises `DataError`."""
    tally = Tally() if tally is None else tally
    boxes: list[Box] = []
    labels: list[int] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        fate = Fate.FAULTY
        with faults.of(path):
            name, box = _parsed(line, names, size, f"{path} line {number}")
            label = class_map.label(name, path)
            fate = Fate.BACKGROUND if label is None else Fate.USED
            if label is not None:
                boxes.append(box)
                labels.append(label)
        tally[fate] += 1
    return boxes, labels


def _parsed(line: str, names: Mapping[int, str], size: tuple[int, int], where: str) -> tuple[str, Box]:
    try:
        first, *rest = line.split()
        index = int(first)
        x, y, w, h = (float(part) for part in rest)
    except ValueError as problem:
        raise DataError(f"{where} is not `class x y width height`; write one cell's box a line.") from problem
    if index not in names:
        known = ", ".join(map(str, sorted(names)[:20]))
        raise DataError(
            f"{where} has the class {index}, which no class name is given for (there are {known}); correct one of the two."
        )
    width_px, height_px = size
    return names[index], ((x - w / 2) * width_px, (y - h / 2) * height_px, (x + w / 2) * width_px, (y + h / 2) * height_px)


def read_yolo(folder: Path, class_map: ClassMap, settings: YoloDataset, faults: Faults = STRICT) -> list[Annotation]:
    """All images of a YOLO data set. A `types` table (image, source, original_name, wbc_type, n_wbc) must list each of them.

    Raises `DataError` naming the file at fault, or gives it to `faults`.
    """
    reader = _Reader(folder, class_map, settings, faults)
    parts = yolo_parts(folder, _named_parts(folder, faults))
    found = [(part, path, label_file) for part in parts for path, label_file in reader.pairs(part)]
    names = originals([path for _, path, _ in found], folder)
    rows: list[Annotation] = []
    for (part, path, label_file), name in zip(found, names, strict=True):
        with faults.of(path):
            rows.append(reader.read(path, label_file, part.split or "train", name))
    return rows


class _Reader:
    def __init__(self, folder: Path, class_map: ClassMap, settings: YoloDataset, faults: Faults) -> None:
        self._folder, self._class_map, self._settings, self._faults = folder, class_map, settings, faults
        self._names = yolo_names(folder)
        self._left_out = LeftOut(folder, settings.leave_out)
        self._splits: dict[Path, Split | None] = {}
        self._types: dict[str, dict[str, str]] = {}
        if settings.types is not None:
            self._types = rows_by_name(folder / settings.types)

    def pairs(self, part: Part) -> list[tuple[Path, Path]]:
        """Images of a part, each with its file of labels."""
        found: list[tuple[Path, Path]] = []
        with self._faults.of(part.images):
            images = pictures(part, self._left_out)
            if not images:
                raise DataError(f"image folder {part.images} has no image; check the path in the description.")
            labels = LabelFiles(part, images, ".txt")
            for path in images:
                with self._faults.of(path):
                    if path in self._splits:
                        raise DataError(f"{path} is in {self._splits[path]} and in {part.split}; strike it in one of the two.")
                    self._splits[path] = part.split
                    found.append((path, labels.of(path)))
        return found

    def read(self, path: Path, label_file: Path, split: Split, name: str) -> Annotation:
        """One image, with its boxes."""
        settings, faults = self._settings, self._faults
        tally = faults.book.image(path, label_file)
        view = view_of(path, settings.orientation)
        boxes: list[Box] = []
        labels: list[int] = []
        if label_file.is_file():
            boxes, labels = read_labels(label_file, self._names, self._class_map, view.size_px, faults, tally)
        elif settings.unannotated == "error":
            raise DataError(
                f"label file {label_file} is missing; an image without cells needs an empty one, or `unannotated: negative`."
            )
        once = checked(boxes, labels, view.size_px, label_file, faults, tally)
        if settings.types is None:
            assert isinstance(settings.um_per_px, float)
            return annotated(view, *once, settings.um_per_px, settings.source or "", name, split)
        types = self._folder / settings.types
        entry, scale = _entry(self._types, f"{split}/{path.name}", types, settings.um_per_px)
        named = entry["wbc_type"] if entry["n_wbc"] == str(labels.count(UNTYPED_WBC)) else ""
        typed = with_types(*once, named, self._class_map, types, view.size_px)
        faults.book.added[path] += len(typed[0]) - len(once[0])
        return annotated(view, *typed, scale, entry["source"], Path(entry["original_name"]).stem, split)


def rows_by_name(types: Path) -> dict[str, dict[str, str]]:
    """The rows of a table of sources and types. Raises `DataError` where two are of one image."""
    found: dict[str, dict[str, str]] = {}
    for row in read_table(types, TYPES):
        if found.setdefault(row["image"], row) != row:
            raise DataError(f"{types} has two different rows for {row['image']}; strike one of the two.")
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
