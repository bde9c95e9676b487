"""TIFF files page by page, each compressed part held against what it must give: OpenCV decodes damaged ones without a word."""

import logging
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.plain_pixels import refuse_hole
from edge.camera.tiff_codes import PACKBITS, packbits_size, unpacked_size
from edge.contracts.errors import FrameError

if TYPE_CHECKING:
    import tifffile

    _Page = tifffile.TiffPage | tifffile.TiffFrame

STARTS = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_NONE, _JPEG = 1, 7
_PRIVATE = 32768
"""The first tag that makers have for themselves: what lies behind everything else may belong to it."""
_SUB_IFDS = 330
"""The tag of smaller copies of a page, which lie behind it."""
_REDUCED, _MASK = 1, 4
"""Bits of NewSubfileType: a page that shows another one smaller, or says which of its pixels count."""
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
        pixels = found[0]
        if int(layout.compression) == _NONE and not layout.is_tiled and layout.planarconfig == 1 and pixels.dtype == np.uint8:
            refuse_hole(np.asarray(pixels, np.uint8), name)
        return pixels

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
            self._refuse_rest(layout, name)
            return
        handle = self._file.filehandle
        crossing, from_first_row = list[int](), True
        for part, (offset, n) in enumerate(zip(offsets, counts, strict=True)):
            handle.seek(offset)
            content = handle.read(n)
            whole, last = _sizes(layout, part)
            if method == _JPEG:
                _verify_jpeg(layout.jpegtables, content, name)
                continue
            if method == PACKBITS:
                got, into_any, into_second = packbits_size(content, _row_bytes(layout), last)
                crossing += [part] if into_any else []
                from_first_row = from_first_row and into_second
            elif (size_or_none := unpacked_size(method, content)) is not None:
                got = size_or_none
            else:
                raise FrameError(
                    f"{name} is compressed by a method ({method}) whose damage cannot be told; save it again with LZW or "
                    "deflate, or as PNG."
                )
            if got not in {whole, last}:
                raise FrameError(f"{name} is damaged (part {part + 1} of {len(offsets)} does not unpack); {_AGAIN}.")
        if crossing and not from_first_row:
            raise FrameError(f"{name} is damaged (part {crossing[0] + 1} of {len(offsets)} does not unpack); {_AGAIN}.")

    def _refuse_rest(self, layout: "tifffile.TiffPage", name: str) -> None:
        """Raises `FrameError` for a file of one page that is longer than everything in it: something was put in between."""
        tags = list(layout.tags)
        if len(self._file.pages) > 1 or any(tag.code >= _PRIVATE or tag.code == _SUB_IFDS for tag in tags):
            return  # what lies there may belong to another page, to a smaller copy of this one, or to what nobody can know
        ends = [int(tag.valueoffset + tag.valuebytecount) for tag in tags] + [int(tag.offset) + 20 for tag in tags]
        ends += [offset + n for offset, n in zip(layout.dataoffsets, layout.databytecounts, strict=True)]
        with self._path.open("rb") as file:
            file.seek(max(ends) + 8)
            if rest := file.read().strip(b"\x00"):
                raise FrameError(f"{name} is damaged ({len(rest)} bytes more than it has pixels for); {_AGAIN}.")


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
    row = _row_bytes(layout)
    rows = min(layout.rowsperstrip, layout.imagelength)
    strips = -(-layout.imagelength // rows)
    left = layout.imagelength - rows * (part % strips)
    return rows * row, min(rows, left) * row


def _row_bytes(layout: "tifffile.TiffPage") -> int:
    samples = layout.samplesperpixel if layout.planarconfig == 1 else 1
    width_px = layout.tilewidth if layout.is_tiled else layout.imagewidth
    return (width_px * layout.bitspersample * samples + 7) // 8


def _verify_jpeg(tables: bytes | None, content: bytes, name: str) -> None:
    from edge.camera.jpeg import decode_jpeg  # noqa: PLC0415 - a driver of its own

    decode_jpeg(tables[:-2] + content[2:] if tables else content, name)


def _unreadable(name: str, problem: Exception) -> FrameError:
    why = str(problem).splitlines()[0][:200].rstrip(".") if str(problem) else type(problem).__name__
    return FrameError(f"{name} cannot be decoded ({why}): it is truncated or damaged; copy it again or remove it.")
