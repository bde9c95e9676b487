"""Image files to pixels, with damage told from content.

Pixels are taken as they are stored: an EXIF rotation is not applied, so that boxes are in the coordinates of the stored image,
which is what annotation files mean too.
"""

from pathlib import Path

import cv2
import numpy as np

from edge.camera.frame import SourceNote
from edge.camera.pixels import channels_to_bgr, quiet_opencv
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm"})

_JPEG_START = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA

quiet_opencv()


def read_image(path: Path, name: str) -> tuple[Image, SourceNote | None]:
    """Read one image file as uint8 BGR [H, W, 3], with the note `channels_to_bgr` gave.

    Raises `FrameError` when it is empty, cut short, not decodable or of an unsupported pixel format.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise FrameError(f"{name} cannot be read ({problem.strerror}); check the file and its permissions.") from problem
    if not content:
        raise FrameError(f"{name} is empty (0 bytes); copy it again from where it was made.")
    if _jpeg_is_cut(content):
        raise FrameError(f"{name} is a truncated JPEG (its end marker is missing); copy it again from where it was made.")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as problem:
        raise FrameError(f"{name} cannot be decoded ({problem.err or 'no reason given'}); save it again.") from problem
    if pixels is None:
        raise FrameError(f"{name} cannot be decoded: it is truncated, damaged or no image; copy it again or remove it.")
    return channels_to_bgr(pixels, name)


def _jpeg_is_cut(content: bytes) -> bool:
    """Whether a JPEG has no end marker behind its first scan. A tail of zeros (a full disk) still decodes, as grey.

    Markers before the scan are stepped over by their length, because an embedded thumbnail has an end marker of its own;
    within a scan 0xFF is always stuffed, so the marker cannot be data. Layout: ITU-T T.81, annex B.
    """
    if not content.startswith(_JPEG_START):
        return False
    at = len(_JPEG_START)
    while at + 4 <= len(content) and content[at] == 0xFF:
        if content[at + 1] == _JPEG_SCAN:
            return content.find(_JPEG_END, at) < 0
        at += 1 if content[at + 1] == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return True
