"""PNG and WebP files: whether they hold one picture, and whether a WebP is what its encoder wrote.

Both are made of chunks. PNG's have checksums, which the decoder holds them against; WebP's have none.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from edge.contracts.errors import FrameError

PNG_START = b"\x89PNG\r\n\x1a\n"
_SPARE = 16
"""Bytes: a WebP decoder has read to within less than this of the end when it has the last pixel."""


def is_webp(content: bytes) -> bool:
    """Whether it begins as a WebP file does."""
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def refuse_animation(content: bytes, name: str) -> None:
    """Raises `FrameError` for an animated PNG or WebP: of its pages a decoder gives the first and drops the others."""
    n_pages = 1
    if content.startswith(PNG_START):
        for kind, data in _png_chunks(content):
            if kind == b"acTL":
                n_pages = int.from_bytes(data[:4], "big")
            if kind == b"IDAT":
                break
    elif is_webp(content):
        n_pages = sum(kind == b"ANMF" for kind, _ in _webp_chunks(content)) or 1
    if n_pages > 1:
        raise FrameError(f"{name} is an animation of {n_pages} pages; save each page as a file of its own.")


def verify_webp(content: bytes, name: str) -> None:
    """Hold a WebP against its length. Raises `FrameError` for one whose data do not last exactly to its last pixel.

    Damage shifts where a decoder gets to: it then runs out of data, which it says, or has some left, which it does not. So a
    whole file is one that cannot be decoded without its last bytes.
    """
    for kind, data in _webp_chunks(content):
        if kind not in {b"VP8 ", b"VP8L"} or len(data) <= 4 * _SPARE:
            continue
        size = len(data) - _SPARE
        cut = b"WEBP" + kind + size.to_bytes(4, "little") + data[:size] + bytes(size % 2)
        shorter = np.frombuffer(b"RIFF" + len(cut).to_bytes(4, "little") + cut, np.uint8)
        if cv2.imdecode(shorter, cv2.IMREAD_COLOR) is not None:
            raise FrameError(f"{name} is a damaged WebP (it ends before its data); copy it again from where it was made.")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG_START)
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        at += 12 + size


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
