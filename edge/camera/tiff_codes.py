"""What compressed parts of a TIFF unpack to: there is no checksum but in deflate, so every rule that encoders keep is held."""

import lzma
import zlib

import numpy as np
from numpy.typing import NDArray

LZW, PACKBITS = 5, 32773
_DEFLATE = frozenset({8, 32946})
_LZMA = 34925
_CLEAR, _LZW_END = 256, 257
_LONE_BYTES = 3
"""Literal runs of one byte each in a row: an encoder makes one run of them. Zeros are read as such."""


def unpacked_size(method: int, content: bytes) -> int | None:
    """Bytes that a part unpacks to, -1 for a damaged one, None for a method that is not known here."""
    if method == LZW:
        return lzw_size(content)
    try:
        if method in _DEFLATE:
            return len(zlib.decompress(content))
        if method == _LZMA:
            return len(lzma.decompress(content))
    except (zlib.error, lzma.LZMAError):
        return -1
    return None


def packbits_size(content: bytes, row: int, expected: int) -> tuple[int, bool, bool]:
    """Bytes that a part unpacks to (-1: damaged), and whether a run goes on into the next row: into any, into the second.

    TIFF has each row packed for itself; who packs a part as one does so from its first row on.
    """
    at = size = lone = 0
    into_any = into_second = False
    while at < len(content) and size < expected:
        n = content[at]
        length = 0 if n == 128 else n + 1 if n < 128 else 257 - n
        if length and size // row != (size + length - 1) // row:
            into_any = True
            into_second |= size < row
        lone = lone + 1 if n == 0 and size % row else 0
        if lone >= _LONE_BYTES and row > _LONE_BYTES:
            return -1, into_any, into_second
        size += length
        at += 1 if n == 128 else n + 2 if n < 128 else 2
    # One byte may follow that makes the length even.
    return size if at <= len(content) <= at + 1 else -1, into_any, into_second


def lzw_size(content: bytes) -> int:
    """Bytes that a TIFF LZW part unpacks to; -1 for one with a code that cannot be.

    There is no checksum in LZW: damage shows in codes that were not defined, a missing end, or another size. Between two clear
    codes the width of each code is known beforehand, so all of them are taken at once.
    """
    bits_left, at, total = len(content) * 8, 0, 0
    padded = np.frombuffer(content + bytes(4), np.uint8).astype(np.uint32)
    first = True
    while True:
        codes, ends = _codes(padded, bits_left, at)
        stops = np.flatnonzero((codes == _CLEAR) | (codes == _LZW_END))
        n = int(stops[0]) if len(stops) else len(codes)
        if first and (n or not len(stops)):
            return -1  # does not begin with a clear code
        first = False
        if (size := _size_of(codes[:n])) < 0:
            return -1
        total += size
        if not len(stops):
            return total if len(codes) < len(_OFFSETS) else -1  # some writers leave the end code out
        if codes[n] == _LZW_END:
            return total
        at = int(ends[n])


# The first code after a clear one defines nothing, each further one defines the next; TIFF widens one code early.
_WIDTHS = np.repeat(np.array([9, 10, 11, 12]), [254, 512, 1024, 2049])
_OFFSETS = np.concatenate([[0], np.cumsum(_WIDTHS)[:-1]])


def _codes(padded: NDArray[np.uint32], bits: int, at: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The codes from bit `at` on as if no clear code came, and where each ends."""
    starts = at + _OFFSETS
    n = int(np.searchsorted(starts + _WIDTHS, bits, side="right"))
    starts, widths = starts[:n], _WIDTHS[:n]
    byte = starts >> 3
    window = (padded[byte] << 16) | (padded[byte + 1] << 8) | padded[byte + 2]
    return (window >> (24 - (starts & 7) - widths)) & ((1 << widths) - 1), starts + widths


def _size_of(codes: NDArray[np.int64]) -> int:
    """Bytes of a run of codes between two clear codes; -1 when one names what was not defined before it, or is not the longest.

    An encoder looks for the longest piece it knows, so that no two codes are followed by the same: that piece would be known.
    """
    n = len(codes)
    if np.any(codes - 258 >= np.arange(n)) or np.any((codes == _CLEAR) | (codes == _LZW_END)):
        return -1
    # Code k names a byte, or what code k-258 gave and one byte more: follow all chains at once, in steps that double.
    root = n
    parent = np.append(np.where(codes < 256, root, codes - 258), root)
    length = np.append(np.ones(n, np.int64), 0)
    first = np.append(codes, 0)
    while np.any(parent != root):
        length = length + np.where(parent != root, length[parent], 0)
        first = np.where(parent != root, first[parent], first)
        parent = parent[parent]
    pieces = np.sort(codes[:-1] << 8 | first[1:n])
    return -1 if np.any(pieces[1:] == pieces[:-1]) else int(length.sum())
