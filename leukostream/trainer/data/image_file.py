"""Reading image files: size from the header, pixels only when they are whole."""

import struct
from pathlib import Path

import cv2
import numpy as np

from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_NOT_A_FRAME_HEADER = {0xC4, 0xC8, 0xCC}


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise DataError(f"image {path} cannot be read ({problem.strerror}); check that the data set is complete.") from problem
    truncated = (content.startswith(_JPEG) and b"\xff\xd9" not in content[-64:]) or (
        content.startswith(_PNG) and b"IEND" not in content[-64:]
    )
    if not content or truncated:
        raise DataError(f"image {path} is cut off after {len(content)} bytes; copy it again.")
    return content


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_A_FRAME_HEADER:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels, from the header where it is a JPEG or a PNG. Raises `DataError` for a damaged file."""
    content = _read_bytes(path)
    if content.startswith(_PNG) and len(content) > 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith(_JPEG) and (size := _jpeg_size(content)) is not None:
        return size
    image = _decode(content, path)
    return image.shape[1], image.shape[0]


def _decode(content: bytes, path: Path) -> Image:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DataError(f"image {path} cannot be decoded; it is damaged or not an image.")
    return np.asarray(image, np.uint8)


def read_image(path: Path) -> Image:
    """uint8 [H, W, 3] BGR. Raises `DataError` for a missing, truncated or undecodable file."""
    return _decode(_read_bytes(path), path)


def images_in(folder: Path) -> list[Path]:
    """The image files of a folder, sorted. Raises `DataError` when it is missing or has none."""
    if not folder.is_dir():
        raise DataError(f"image folder {folder} does not exist; check the data set's path in the description.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"image folder {folder} has no image ({', '.join(IMAGE_SUFFIXES)}); check the path in the description.")
    return found
