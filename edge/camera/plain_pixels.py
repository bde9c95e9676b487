"""Files of pixels as they are (BMP, PGM, PPM, TIFF without compression): their length, and holes that are no picture."""

import re

import numpy as np
from numpy.typing import NDArray

from edge.contracts.errors import FrameError

BMP_START = b"BM"
PNM_STARTS = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
_PNM_HEADER = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 2)
_PNM_MAXIMUM = re.compile(rb"(?:\s|#[^\n]*\n)+(\d+)\s")
_HOLE_BYTES = 500
"""What a disk loses at once (512 bytes), in whole pixels."""
_BESIDE_BYTES = 64
_AGAIN = "copy it again from where it was made"


def verify_plain(content: bytes, name: str) -> None:
    """Hold a BMP, PGM or PPM against the length that its header states. Raises `FrameError`."""
    expected = _bmp_length(content) if content.startswith(BMP_START) else _pnm_length(content)
    if expected is None or len(content) == expected:
        return
    if len(content) < expected:
        raise FrameError(f"{name} cannot be decoded: it is cut short ({len(content)} of {expected} bytes); {_AGAIN}.")
    rest = content[expected:]
    if content[:2] == rest[:2]:
        raise FrameError(f"{name} holds several pictures one after the other; save each as a file of its own.")
    if rest.strip(b"\x00\r\n"):
        raise FrameError(f"{name} is damaged ({len(rest)} bytes follow its last pixel); {_AGAIN}.")


def refuse_hole(pixels: NDArray[np.uint8], name: str, *, bottom_up: bool = False) -> None:
    """Raises `FrameError` where zeros as a lost block leaves them cut through rows, with a picture above or below.

    `pixels` are [H, W] or [H, W, C] in the order of the file, or `bottom_up` of it. A black border, bar or mask has its edges
    in every row; a block that was lost begins and ends anywhere. One that begins and ends with a row cannot be told.
    """
    rows = np.ascontiguousarray(pixels[::-1] if bottom_up else pixels)
    flat, row = rows.reshape(-1), rows[0].size if len(rows) else 0
    raw = flat.tobytes()
    at = raw.find(bytes(_HOLE_BYTES))
    while at >= 0:
        rest = np.flatnonzero(flat[at:])
        end = at + int(rest[0]) if len(rest) else len(flat)
        if (at % row or end % row) and _is_picture(flat, at - row) and _is_picture(flat, end + row - _BESIDE_BYTES, end):
            raise FrameError(f"{name} is damaged (a run of {end - at} zeros lies in its picture); {_AGAIN}.")
        at = raw.find(bytes(_HOLE_BYTES), end)


def _is_picture(flat: NDArray[np.uint8], at: int, end: int = 0) -> bool:
    """Whether there is something at this place; what would be above the first row or below the last is taken to be."""
    if at < 0 or at + _BESIDE_BYTES > len(flat) or end == len(flat):
        return True
    return bool(np.count_nonzero(flat[at : at + _BESIDE_BYTES]) > _BESIDE_BYTES // 2)


def _bmp_length(content: bytes) -> int | None:
    """Bytes of a BMP without compression, by its pixels; what its header says of the file is often wrong."""
    if len(content) < 54 or int.from_bytes(content[30:34], "little") not in {0, 3}:
        return None
    first, width_px = int.from_bytes(content[10:14], "little"), int.from_bytes(content[18:22], "little", signed=True)
    height_px, bits = int.from_bytes(content[22:26], "little", signed=True), int.from_bytes(content[28:30], "little")
    return first + (abs(width_px) * bits + 31) // 32 * 4 * abs(height_px)


def _pnm_length(content: bytes) -> int | None:
    """Bytes of a PBM, PGM or PPM of binary values; None for text."""
    header = _PNM_HEADER.match(content)
    if header is None or int(header[1]) < 4:
        return None
    width_px, height_px = int(header[2]), int(header[3])
    if header[1] == b"4":
        return header.end() + 1 + (width_px + 7) // 8 * height_px
    maximum = _PNM_MAXIMUM.match(content, header.end())
    if maximum is None:
        return None
    return maximum.end() + width_px * height_px * (3 if header[1] == b"6" else 1) * (2 if int(maximum[1]) > 255 else 1)
