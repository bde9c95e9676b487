"""JPEG pictures, strictly: what the decoder only warns of is damage here, and every picture that a file holds is found.

A decoder that goes on after a warning fills what is missing with grey, or with the picture before, and says nothing.
"""

import functools
import logging
import struct
from collections.abc import Iterator

import cv2
import numpy as np

from edge.camera.frame import SourceNote
from edge.camera.jpeg_scans import START, end_of_picture, fault_by_ffmpeg, fault_of_scans, segments
from edge.camera.pixels import GREY_NOTE
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError

_PREVIEWS = frozenset({0x010001, 0x010002})
"""Multi-Picture Format (CIPA DC-007): types of pictures that show another one smaller."""

UNVERIFIED = SourceNote(
    "jpeg_unverified",
    "damaged JPEG images may pass as whole ones: simplejpeg, which tells them, is not installed (pip install simplejpeg).",
    "warning",
)
_log = logging.getLogger(__name__)


def pictures_in(content: bytes) -> list[slice]:
    """Where each picture of a JPEG file lies, the first one first; previews of another one are left out.

    The others are named by its Multi-Picture index, or follow the first one's end. One that is named and is not there is a
    slice all the same: it fails where it is read.
    """
    if (listed := listed_pictures(content)) is not None:
        return listed
    found, start = [], 0
    while (end := end_of_picture(content, start)) is not None:
        found.append(slice(start, end))
        start = end + len(content[end:]) - len(content[end:].lstrip(b"\x00\xff")) if end < len(content) else end
        # A padded end may have swallowed the 0xFF of the next one's start marker.
        start = start - 1 if content[start : start + 1] == b"\xd8" else start
        if content[start : start + 3] != START + b"\xff":
            return found
    return [*found, slice(start, len(content))]


def decode_jpeg(content: bytes, name: str) -> tuple[Image, SourceNote | None]:
    """One picture as uint8 BGR [H, W, 3], with a note where it was grey. Raises `FrameError` for a damaged one.

    An EXIF rotation is not applied.
    """
    if end_of_picture(content) is None:
        raise FrameError(f"{name} is a truncated JPEG (its end marker is missing); copy it again from where it was made.")
    if fault := fault_of_scans(content) or fault_by_ffmpeg(content):
        raise FrameError(f"{name} is a damaged JPEG ({fault}); copy it again from where it was made.")
    try:
        import simplejpeg  # noqa: PLC0415 - few commands decode, and its absence is no reason not to start
    except ImportError:
        return _by_opencv(content, name)
    try:
        _, _, colours, _ = simplejpeg.decode_jpeg_header(content, strict=True)
        if colours == "Gray":
            grey = simplejpeg.decode_jpeg(content, "GRAY", strict=True)
            return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8), GREY_NOTE
        if colours in {"CMYK", "YCCK"}:
            simplejpeg.decode_jpeg(content, "CMYK", strict=True)  # whether it is whole; how inks become colours OpenCV knows
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
            if pixels is not None:
                return np.asarray(pixels, np.uint8), None
        return np.asarray(simplejpeg.decode_jpeg(content, "BGR", strict=True), np.uint8), None
    except (ValueError, cv2.error) as problem:
        why = str(problem).strip().rstrip(".") or "no reason given"
        raise FrameError(
            f"{name} is a damaged JPEG ({why}): a part of its picture is missing or wrong; copy it again."
        ) from problem


def _by_opencv(content: bytes, name: str) -> tuple[Image, SourceNote]:
    """Where there is no strict decoder: the run is told that damage may pass, and so is the log."""
    _log_unverified()
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise FrameError(f"{name} cannot be decoded: it is damaged; copy it again from where it was made.")
    return np.asarray(pixels, np.uint8), UNVERIFIED


@functools.cache
def _log_unverified() -> None:
    _log.warning("%s", UNVERIFIED.message)


def listed_pictures(content: bytes) -> list[slice] | None:
    """The pictures that the Multi-Picture index (segment APP2 "MPF") of a file names; None without a usable one."""
    for _, at, segment in segments(content):
        if segment[:4] != b"MPF\x00" or len(segment) < 12:
            continue
        base, order = at + 4, "<" if segment[4:6] == b"II" else ">"
        try:
            entries = list(_entries(segment[4:], order))
        except (struct.error, ValueError):
            return None
        slices = [
            slice(0, size) if offset == 0 else slice(base + offset, base + offset + size)
            for kind, size, offset in entries
            if kind not in _PREVIEWS
        ]
        return slices or None
    return None


def _entries(block: bytes, order: str) -> Iterator[tuple[int, int, int]]:
    """Kind, size and offset of each picture: tag 0xB002 of an index that is laid out like a TIFF directory."""
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (n_tags,) = struct.unpack_from(order + "H", block, directory)
    for index in range(n_tags):
        tag, _, n_bytes, where = struct.unpack_from(order + "HHII", block, directory + 2 + 12 * index)
        if tag != 0xB002:
            continue
        for entry in range(n_bytes // 16):
            attributes, size, offset = struct.unpack_from(order + "III", block, where + 16 * entry)
            yield attributes & 0xFFFFFF, size, offset
