"""Image files of data sets, read exactly as the edge reads them."""

from pathlib import Path

from leukostream.edge.camera import decode
from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import DataError, FrameError


def read_image(path: Path) -> Image:
    """uint8 [H, W, 3] BGR. Raises `DataError` for a missing, truncated, undecodable or unsupported file."""
    try:
        return decode.read_image(path, f"image {path}")[0]
    except FrameError as problem:
        raise DataError(str(problem)) from problem


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels. Decodes, so that a damaged file is known before training. Raises `DataError`."""
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
