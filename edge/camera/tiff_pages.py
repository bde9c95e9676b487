"""TIFF files page by page, each compressed part held against what it must give: OpenCV decodes damaged ones without a word."""

import logging
import lzma
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.errors import FrameError

if TYPE_CHECKING:
    import tifffile

    _Page = tifffile.TiffPage | tifffile.TiffFrame

STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_NONE, _LZW, _JPEG, _PACKBITS = 1, 5, 7, 32773
_DEFLATE = frozenset({8, 32946})
_LZMA = 34925
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType: a page that shows another one smaller, or says which of its pixels count."""
_CLEAR, _LZW_END = 256, 257
_LONGEST = 100_000
"""Pages; a damaged list may lead back into itself."""
_AGAIN = "copy it again from where it was made"

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it warns of is an error here, and said once


class TiffPages:
    """The pages of one file that are pictures of their own. Raises `FrameError` for a file whose pages cannot be told."""

    def __init__(self, path: Path, name: str) -> None:
        import tifffile  # noqa: PLC0415 - few folders hold TIFF, and every command would load it

        self._path, self._name = path, name
        try:
            with path.open("rb") as file:
                _walk_directories(file)
            self._file = tifffile.TiffFile(path)
            self._pages: list[tuple[int, _Page]] = []
            for index, page in enumerate(self._file.pages):
                if not int(_layout_of(page).subfiletype) & (_REDUCED | _MASK):
                    self._pages.append((index, page))
            self._refuse_channels(self._file)
        except FrameError:
            self.close()
            raise
        except Exception as problem:
            raise _unreadable(name, problem) from problem
        if not self._pages:
            raise FrameError(f"{name} holds no picture; {_AGAIN}.")

    def __len__(self) -> int:
        return len(self._pages)

    def read(self, page: int) -> NDArray[Any]:
        """The pixels of a page as OpenCV gives them. Raises `FrameError` for a damaged one."""
        name = self._name if len(self) == 1 else f"{self._name}, page {page + 1} of {len(self)},"
        index, at = self._pages[page]
        try:
            layout = _layout_of(at)
            self._verify(at, layout, name)
            # Of a stack only what the page needs is read.
            content = np.fromfile(self._path, np.uint8) if len(self._file.pages) == 1 else np.memmap(self._path, np.uint8, "r")
            done, found = cv2.imdecodemulti(content, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
            if not done and index:
                return self._plain(at, layout, name)
        except FrameError:
            raise
        except Exception as problem:
            raise _unreadable(name, problem) from problem
        if not done or len(found) != 1:
            raise FrameError(f"{name} cannot be decoded: it is truncated, damaged or no image; copy it again or remove it.")
        return found[0]

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _refuse_channels(self, file: "tifffile.TiffFile") -> None:
        about = file.imagej_metadata or {}
        if len(self._pages) > 1 and about.get("channels", 1) > 1 and about.get("mode") in {"composite", "color"}:
            raise FrameError(
                f"{self._name} holds the {about['channels']} colours of one field as pages; convert it to RGB (ImageJ: Image > "
                "Type > RGB Color)."
            )

    def _plain(self, at: "_Page", layout: "tifffile.TiffPage", name: str) -> NDArray[Any]:
        """As ImageJ writes it: one directory, and behind its picture all others."""
        if layout.compression != _NONE or layout.planarconfig != 1:
            raise FrameError(f"{name} is laid out in a way that is not supported; save each page as a file of its own.")
        pixels = np.asarray(at.asarray())
        return np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 and pixels.shape[2] == 3 else pixels

    def _verify(self, at: "_Page", layout: "tifffile.TiffPage", name: str) -> None:
        """Hold every strip or tile against its size. Raises `FrameError`."""
        size = self._path.stat().st_size
        offsets, counts = at.dataoffsets, at.databytecounts
        if len(offsets) != len(counts) or any(offset + n > size for offset, n in zip(offsets, counts, strict=False)):
            raise FrameError(f"{name} cannot be decoded: it is cut short; {_AGAIN}.")
        method = int(layout.compression)
        if method == _NONE:
            if sum(counts) < layout.nbytes:
                raise FrameError(f"{name} cannot be decoded: a part of its pixels is missing; {_AGAIN}.")
            return
        handle = self._file.filehandle
        for part, (offset, n) in enumerate(zip(offsets, counts, strict=True)):
            handle.seek(offset)
            content = handle.read(n)
            whole, last = _sizes(layout, part)
            if method == _JPEG:
                _verify_jpeg(layout.jpegtables, content, name)
                continue
            got = _unpacked_size(method, content, whole)
            if got is None:
                raise FrameError(
                    f"{name} is compressed by a method ({method}) whose damage cannot be told; save it again with LZW or "
                    "deflate, or as PNG."
                )
            if got not in {whole, last}:
                raise FrameError(f"{name} is damaged (part {part + 1} of {len(offsets)} does not unpack); {_AGAIN}.")


def _layout_of(page: "_Page") -> "tifffile.TiffPage":
    """The page that says how this one is laid out: itself, or the one it is like."""
    found: Any = page if hasattr(page, "tags") else page.keyframe
    return found  # type: ignore[no-any-return]


def _walk_directories(file: BinaryIO) -> None:
    """Raises ValueError where the list of pages does not go on to its end: readers give those before it, without a word."""
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    is_big = start[2:4] in {b"+\x00", b"\x00+"}
    count, entry, link = ("Q", 20, "Q") if is_big else ("H", 12, "I")
    try:
        (at,) = struct.unpack_from(order + link, start, 8 if is_big else 4)
        for _ in range(_LONGEST):
            if not at:
                return
            file.seek(at)
            (n,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            file.seek(n * entry, 1)
            (at,) = struct.unpack(order + link, file.read(struct.calcsize(link)))
    except (struct.error, OSError, OverflowError) as problem:
        raise ValueError("its list of pages leads out of the file") from problem
    raise ValueError("its list of pages does not end")


def _sizes(layout: "tifffile.TiffPage", part: int) -> tuple[int, int]:
    """Bytes of a full strip or tile, and of a strip that ends with the image."""
    samples = layout.samplesperpixel if layout.planarconfig == 1 else 1
    bits = layout.bitspersample * samples
    if layout.is_tiled:
        whole = layout.tilewidth * layout.tilelength * bits // 8
        return whole, whole
    row = (layout.imagewidth * bits + 7) // 8
    rows = min(layout.rowsperstrip, layout.imagelength)
    strips = -(-layout.imagelength // rows)
    left = layout.imagelength - rows * (part % strips)
    return rows * row, min(rows, left) * row


def _unpacked_size(method: int, content: bytes, expected: int) -> int | None:
    """Bytes that a part unpacks to, -1 for a damaged one, None for a method that is not known here."""
    if method == _LZW:
        return lzw_size(content)
    if method == _PACKBITS:
        return _packbits_size(content, expected)
    try:
        if method in _DEFLATE:
            return len(zlib.decompress(content))
        if method == _LZMA:
            return len(lzma.decompress(content))
    except (zlib.error, lzma.LZMAError):
        return -1
    return None


def _verify_jpeg(tables: bytes | None, content: bytes, name: str) -> None:
    from edge.camera.jpeg import decode_jpeg  # noqa: PLC0415 - a driver of its own

    decode_jpeg(tables[:-2] + content[2:] if tables else content, name)


def _packbits_size(content: bytes, expected: int) -> int:
    at = size = 0
    while at < len(content) and size < expected:
        n = content[at]
        size += 0 if n == 128 else n + 1 if n < 128 else 257 - n
        at += 1 if n == 128 else n + 2 if n < 128 else 2
    return size if at <= len(content) else -1


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
    """Bytes of a run of codes between two clear codes; -1 when one names what was not defined before it."""
    n = len(codes)
    if np.any(codes - 258 >= np.arange(n)) or np.any((codes == _CLEAR) | (codes == _LZW_END)):
        return -1
    # Code k names a byte, or what code k-258 gave and one byte more: follow all chains at once, in steps that double.
    root = n
    parent = np.append(np.where(codes < 256, root, codes - 258), root)
    length = np.append(np.ones(n, np.int64), 0)
    while np.any(parent != root):
        length = length + np.where(parent != root, length[parent], 0)
        parent = parent[parent]
    return int(length.sum())


def _unreadable(name: str, problem: Exception) -> FrameError:
    why = str(problem).splitlines()[0][:200].rstrip(".") if str(problem) else type(problem).__name__
    return FrameError(f"{name} cannot be decoded ({why}): it is truncated or damaged; copy it again or remove it.")
