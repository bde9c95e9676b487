"""Files that others wrote: images, read exactly as the edge reads them, and texts."""

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
from edge.contracts.errors import DataError, FrameError
from trainer.data.faults import UnreadableImage

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
    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4)
    if pixels is None:
        raise UnreadableImage(f"image {path} cannot be decoded: it is truncated or damaged; copy it again or remove it.")
    return np.asarray(pixels, np.uint8)


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, from the file's header alone. Raises `UnreadableImage`."""
    try:
        with Pillow.open(path) as header:
            return header.size
    except (UnidentifiedImageError, OSError, Pillow.DecompressionBombError):
        # Pillow does not say what is wrong, or does not know the format; the edge's decoder decides.
        height, width = read_image(path).shape[:2]
        return width, height


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, sorted. Raises `DataError` when it is missing or has none."""
    if not folder.is_dir():
        raise DataError(f"image folder {folder} does not exist; check the data set's path in the description.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in decode.IMAGE_SUFFIXES)
    if not found:
        known = ", ".join(sorted(decode.IMAGE_SUFFIXES))
        raise DataError(f"image folder {folder} has no image ({known}); check the path in the description.")
    return found


def originals(paths: Sequence[Path], folder: Path) -> list[str]:
    """A name for each image of a data set: its file's, without suffix; with its folder where several images share it."""
    stems = Counter(path.stem for path in paths)
    return [path.stem if stems[path.stem] == 1 else path.relative_to(folder).with_suffix("").as_posix() for path in paths]


def read_text(path: Path) -> str:
    """UTF-8 text, with or without the byte order mark that Windows tools put first. Raises `DataError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text (byte {problem.start}); save it again as UTF-8.") from problem
    except OSError as problem:
        raise DataError(f"{path} cannot be read ({problem.strerror}); correct its permissions or copy it again.") from problem
