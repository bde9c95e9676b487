"""PNG and WebP files: whether they hold one picture, and whether that is what its encoder wrote.

Both are made of chunks. PNG's have checksums; WebP's have none, but lengths that must add up.
"""

import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from edge.contracts.errors import FrameError

PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND"
_SPARE = {b"VP8 ": 4, b"VP8L": 2}
"""Bytes: a WebP decoder has read to within less than this of the end when it has the last pixel. Without loss it needs every
bit; an odd length leaves one byte of padding."""
_AGAIN = "copy it again from where it was made"


def is_webp(content: bytes) -> bool:
    """Whether it begins as a WebP file does."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def refuse_animation(content: bytes, name: str) -> None:
    """Raises `FrameError` for an animated PNG or WebP: of its pages a decoder gives the first and drops the others."""
    n_pages = 1
    if content.startswith(PNG_START):
        for kind, data, _ in _png_chunks(content):
            if kind == b"acTL":
                n_pages = int.from_bytes(data[:4], "big")
            if kind == b"IDAT":
                break
    elif is_webp(content):
        n_pages = sum(kind == b"ANMF" for kind, _ in _webp_chunks(content)) or 1
    if n_pages > 1:
        raise FrameError(f"{name} is an animation of {n_pages} pages; save each page as a file of its own.")


def verify_png(content: bytes, name: str) -> None:
    """Hold every chunk of a PNG against its checksum, whatever it is for. Raises `FrameError`."""
    kind = b""
    for kind, data, checksum in _png_chunks(content):
        if checksum != zlib.crc32(kind + data):
            called = kind.decode("ascii", "replace") if kind.isalpha() else "one"
            raise FrameError(f"{name} cannot be decoded: it is a damaged PNG (chunk {called} has another checksum); {_AGAIN}.")
        if kind == _PNG_END:
            return
    raise FrameError(f"{name} cannot be decoded: it is a truncated PNG (its end is missing); {_AGAIN}.")


def verify_webp(content: bytes, name: str) -> None:
    """Hold a WebP against its lengths. Raises `FrameError` for one whose data do not last exactly to its last pixel.

    Damage shifts where a decoder gets to: it then runs out of data, which it says, or has some left, which it does not. So a
    whole file is one that cannot be decoded without its last bytes.
    """
    stated = 8 + int.from_bytes(content[4:8], "little")
    if content[stated + stated % 2 :].strip(b"\x00"):
        raise FrameError(f"{name} is a damaged WebP (it is longer than it says); {_AGAIN}.")
    end = 12
    for kind, data in _webp_chunks(content):
        end += 8 + len(data) + len(data) % 2
        if kind not in _SPARE or len(data) <= 64:
            continue
        size = len(data) - _SPARE[kind]
        cut = b"WEBP" + kind + size.to_bytes(4, "little") + data[:size] + bytes(size % 2)
        shorter = np.frombuffer(b"RIFF" + len(cut).to_bytes(4, "little") + cut, np.uint8)
        if cv2.imdecode(shorter, cv2.IMREAD_COLOR) is not None:
            raise FrameError(f"{name} is a damaged WebP (it ends before its data); {_AGAIN}.")
    if end not in {stated, stated + 1}:
        raise FrameError(f"{name} is a damaged WebP (its parts are not as long as they say); {_AGAIN}.")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, data and checksum."""
    at = len(PNG_START)
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        end = at + 8 + size
        yield content[at + 4 : at + 8], content[at + 8 : end], int.from_bytes(content[end : end + 4], "big")
        at += 12 + size


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
