"""Where a data set keeps images and labels: the layouts that annotation tools write, and which label file is an image's."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from edge.contracts.errors import DataError
from trainer.data.annotation import SPLITS, Split
from trainer.data.source_files import files_under, folded, is_image

SPLIT_FOLDERS: dict[Split, frozenset[str]] = {
    "train": frozenset({"train", "training", "obj_train_data"}),
    "val": frozenset({"val", "valid", "validation", "obj_valid_data"}),
    "test": frozenset({"test", "testing", "obj_test_data"}),
}
"""Names that tools give to the folders of a split, in any case."""


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of images, with its subfolders, and where the labels of its images are, in subfolders of the same names.

    `split` is None where lists say it, or nobody. `listed` are the only images that count, if a list names them.
    """

    split: Split | None
    images: Path
    labels: Path
    listed: frozenset[Path] | None = None


class LabelFiles:
    """The label files of a part, by the images that they are of."""

    def __init__(self, part: Part, images: Sequence[Path], suffix: str) -> None:
        """`images` are all those of the part, `suffix` is the label files'."""
        self._part, self._suffix = part, suffix
        self._files: dict[str, list[Path]] = defaultdict(list)
        if part.labels.is_dir():
            for path in files_under(part.labels):
                if path.suffix.lower() == suffix:
                    self._files[folded(_key(path, part.labels))].append(path)
        self._images: dict[str, set[str]] = defaultdict(set)
        for path in images:
            self._images[folded(key := _key(path, part.images))].add(key)

    def of(self, image: Path) -> Path:
        """The label file of an image, whether it is there or not.

        A name that differs by case or by how its accents are composed is the image's if no other could be meant.
        Raises `DataError` when another could.
        """
        key = _key(image, self._part.images)
        wanted = self._part.labels / f"{key}{self._suffix}"
        found = self._files.get(folded(key), [])
        if wanted in found:
            return wanted
        if len(found) > 1:
            raise DataError(f"{image} could have its labels in {found[0]} or in {found[1]}; remove or rename the wrong one.")
        if found and len(self._images[folded(key)]) > 1:
            raise DataError(f"{found[0]} could be of {image} or of another image of almost that name; name it like one.")
        return found[0] if found else wanted


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def yolo_parts(folder: Path, named: dict[Split, list[Part]]) -> list[Part]:
    """The parts of a YOLO data set: those that its own description `named`, for other splits those that are called like one.

    Without any, all images are one part. Raises `DataError` when there is no image where one could be.
    """
    found = [part for parts in named.values() for part in parts]
    taken = {part.images for part in found}
    for split, images in split_folders(folder):
        if split not in named and images not in taken:
            found.append(Part(split, images, yolo_labels(images, folder)))
    if found:
        return found
    images = child(folder, "images") or folder
    if images == folder and not _has_images(folder) and not _has_files(folder, ".txt"):
        raise DataError(
            f"image folder {folder / 'images'} does not exist, and {folder} holds no image itself; a YOLO data set has images/ "
            "and labels/, each with the folders train, val and test if it is divided, or the texts beside the images."
        )
    return [Part(None, images, yolo_labels(images, folder))]


def yolo_labels(images: Path, folder: Path) -> Path:
    """The folder of the labels of YOLO images: the one called labels that stands for images, or the images' own."""
    parts = images.relative_to(folder).parts
    for at in reversed(range(len(parts))):
        if parts[at].lower() == "images":
            above = folder.joinpath(*parts[:at])
            labels = (child(above, "labels") or above / "labels").joinpath(*parts[at + 1 :])
            return labels if labels.is_dir() or not _has_files(images, ".txt") else images
    return images


def voc_parts(folder: Path) -> list[Part]:
    """The parts of a VOC data set: JPEGImages beside Annotations, a folder a split, or XML beside the images.

    Raises `DataError` when there is no image where one could be.
    """
    if images := child(folder, "JPEGImages"):
        return [Part(None, images, _voc_labels(images, folder))]
    if found := [Part(split, images, _voc_labels(images, folder)) for split, images in split_folders(folder)]:
        return found
    images = child(folder, "images") or folder
    if images == folder and not _has_images(folder) and not _has_files(folder, ".xml"):
        raise DataError(
            f"image folder {folder / 'JPEGImages'} does not exist, and {folder} holds no image itself; PASCAL VOC has "
            "JPEGImages/ and Annotations/, or the XML files beside the images."
        )
    return [Part(None, images, _voc_labels(images, folder))]


def _voc_labels(images: Path, folder: Path) -> Path:
    above = images.parent if images != folder else folder
    places = [child(above, "Annotations"), child(images, "Annotations")]
    if general := child(folder, "Annotations"):
        places += [general / images.name, general]
    for place in places:
        if place is not None and place.is_dir():
            return place
    return images if _has_files(images, ".xml") or above == folder == images else above / "Annotations"


def split_folders(folder: Path) -> Iterator[tuple[Split, Path]]:
    """Folders of images that are named by a split: images/train, train/images, or train with images in it."""
    places = _folders(folder) + (_folders(images) if (images := child(folder, "images")) else [])
    for split in SPLITS:
        for place in places:
            if place.name.lower() in SPLIT_FOLDERS[split]:
                inner = child(place, "images")
                if inner or _has_images(place):
                    yield split, inner or place


def inside(folder: Path, entry: str, before: str = "", listed: bool = False) -> Path | None:
    """What a data set's own file means by `entry`, a path on the machine that it was written on; None if it is not in `folder`.

    `before` is the path that the file states for all its entries. Both may begin above the data set or anywhere, as an entry
    may that is `listed` with others: Darknet's lists begin where its program was started.
    """
    words, start = _words(entry), _words(before)
    # Of a whole path at least the folder and the name must agree; of what is said from here, all.
    least = min(2, len(words)) if listed or _is_whole(entry) else len(words)
    every = [*start, *words]
    for begin in range(len(every) - least + 1):
        path = folder.joinpath(*every[begin:])
        if path.exists():
            return path
    return None


def _words(path: str) -> list[str]:
    return [word for word in path.replace("\\", "/").split("/") if word not in {"", ".", ".."}]


def _is_whole(path: str) -> bool:
    plain = path.replace("\\", "/")
    return PurePosixPath(plain).is_absolute() or plain[1:3] == ":/"


def child(folder: Path, name: str) -> Path | None:
    """The folder `name` in a folder, in whatever case; None if there is none."""
    exact = folder / name
    if exact.is_dir():
        return exact
    return next((path for path in _folders(folder) if path.name.lower() == name.lower()), None)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _has_images(folder: Path) -> bool:
    return any(is_image(path) for path in folder.iterdir() if path.is_file())


def _has_files(folder: Path, suffix: str) -> bool:
    return any(path.suffix.lower() == suffix for path in files_under(folder))


def pictures(part: Part, left_out: "LeftOut") -> list[Path]:
    """The images of a part, sorted, without those that the description leaves out."""
    found = [path for path in files_under(part.images) if is_image(path) and not left_out.has(path)]
    return found if part.listed is None else [path for path in found if path in part.listed]


class ImagePlaces:
    """Where the images lie that a file of annotations names: in `folder`, or beside the file."""

    def __init__(self, folder: Path, beside: Path) -> None:
        self._folder, self._beside = folder, beside
        self._known: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The image called `name` there, whether it exists or not; one file may differ from it by case or composed accents."""
        plain = os.path.normpath(name.replace("\\", "/"))
        wanted = self._folder / plain
        for path in (wanted, self._beside / plain):
            if path.is_file():
                return path
        if self._known is None:
            self._known = defaultdict(list)
            if self._folder.is_dir():
                for path in files_under(self._folder):
                    self._known[folded(path.relative_to(self._folder).as_posix())].append(path)
        found = self._known.get(folded(plain), [])
        return found[0] if len(found) == 1 else wanted


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the description leaves out of a data set: folders, files, or patterns such as `extra/*_old.jpg`."""

    folder: Path
    entries: tuple[str, ...]

    def has(self, path: Path) -> bool:
        """Whether a file below the data set's folder is left out."""
        try:
            name = path.relative_to(self.folder).as_posix()
        except ValueError:
            return False
        return any(name == one or name.startswith(f"{one.rstrip('/')}/") or fnmatchcase(name, one) for one in self.entries)
