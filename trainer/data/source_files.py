"""Files that others wrote: images, read exactly as the edge reads them, and texts."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from edge.camera import decode
from edge.contracts.detections import Image
from edge.contracts.errors import DataError, FrameError, LeukoError
from edge.contracts.whole_file import read_whole
from trainer.data.faults import UnreadableImage

PICTURES = decode.IMAGE_SUFFIXES | decode.NOT_READ
"""Suffixes of pictures, of which those of `IMAGE_SUFFIXES` are read; of the others it has to be said that they are not."""

QUARTER = 4


def read_image(path: Path) -> Image:
    """uint8 [H, W, 3] BGR. Raises `UnreadableImage` for a missing, truncated, undecodable or unsupported file."""
    try:
        return decode.read_image(path, f"image {path}")[0]
    except FrameError as problem:
        raise UnreadableImage(str(problem)) from problem


def read_grey(path: Path, shortest_px: int) -> NDArray[np.uint8]:
    """uint8 [h, w], at a quarter of the size where the shorter side then still has `shortest_px`: to compare pictures.

    A quarter is what a JPEG decoder gives without computing the other pixels. Raises `UnreadableImage`.
    """
    if min(image_size(path)) < QUARTER * shortest_px:
        return np.asarray(cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY), np.uint8)
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise UnreadableImage(f"image {path} cannot be decoded: it is truncated or damaged; copy it again or remove it.")
    return np.asarray(pixels, np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, from the file's header alone. Raises `UnreadableImage`."""
    try:
        decode.require_file(path, f"image {path}")
        with Pillow.open(path) as header:
            return header.size
    except FrameError as problem:
        raise UnreadableImage(str(problem)) from problem
    except (UnidentifiedImageError, OSError, Pillow.DecompressionBombError):
        # Pillow does not say what is wrong, or does not know the format; the edge's decoder decides.
        height, width = read_image(path).shape[:2]
        return width, height


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, without those of its subfolders, sorted. Raises `DataError` when there is none."""
    return _some(folder, [path for path in files_under(folder) if path.parent == folder and is_image(path)])


def images_under(folder: Path) -> list[Path]:
    """The same with those of its subfolders."""
    return _some(folder, [path for path in files_under(folder) if is_image(path)])


def _some(folder: Path, found: list[Path]) -> list[Path]:
    if not found:
        known = ", ".join(sorted(decode.IMAGE_SUFFIXES))
        raise DataError(f"image folder {folder} has no image ({known}); check the path in the description.")
    return found


def is_image(path: Path) -> bool:
    """Whether a file is read as an image, by its name. What Mac OS leaves beside files on foreign disks (._a.jpg) is none."""
    return path.suffix.lower() in decode.IMAGE_SUFFIXES and not is_stray(path)


def is_stray(path: Path) -> bool:
    """Whether a system made the file for itself, with the name of another one."""
    return path.name.startswith(".")


def files_under(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders, sorted; but nothing of hidden folders, which are no part of a data set.

    Raises `DataError` when it is missing or one of them may not be looked into: what is in there would be lost in silence.
    """
    if not folder.is_dir():
        raise DataError(f"image folder {folder} does not exist; check the data set's path in the description.")
    found: list[Path] = []
    for where, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        found += [Path(where, name) for name in files]
    return sorted(found)


def _refuse(problem: OSError) -> None:
    raise DataError(
        f"folder {problem.filename} cannot be looked into ({problem.strerror}); correct its permissions."
    ) from problem


def folded(name: str) -> str:
    """A name without what differs between systems: case, and how an accented letter is composed."""
    return unicodedata.normalize("NFC", name).casefold()


def originals(paths: Sequence[Path], folder: Path) -> list[str]:
    """A name for each image of a data set: its file's, without suffix; with its folder where several images share it."""
    stems = Counter(path.stem for path in paths)
    return [path.stem if stems[path.stem] == 1 else path.relative_to(folder).with_suffix("").as_posix() for path in paths]


def read_text(path: Path, error: type[LeukoError] = DataError) -> str:
    """UTF-8 text, with or without the byte order mark that Windows tools put first. Raises `error`."""
    try:
        return read_whole(path).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path} is not UTF-8 text (byte {problem.start}); save it again as UTF-8.") from problem
    except OSError as problem:
        raise error(f"{path} cannot be read ({problem.strerror}); correct its permissions or copy it again.") from problem
