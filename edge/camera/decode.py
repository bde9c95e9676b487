"""Image files to pixels, with damage told from content; what a decoder would only warn of is damage.

`read_image` is for whoever takes one picture from a file, as the trainer does: it raises for a file with several. `ImageFile`
gives each page. Pixels are taken as they are stored: an EXIF rotation is not applied, so that boxes are in the coordinates of
the stored image, which is what annotation files mean too.
"""

import stat
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from edge.camera.chunked_files import PNG_START, is_webp, refuse_animation, verify_png, verify_webp
from edge.camera.frame import SourceNote
from edge.camera.jpeg import decode_jpeg, listed_pictures, pictures_in
from edge.camera.jpeg_scans import START as JPEG_START
from edge.camera.pixels import channels_to_bgr, quiet_opencv
from edge.camera.plain_pixels import BMP_START, PNM_STARTS, refuse_hole, verify_plain
from edge.camera.tiff_pages import STARTS as TIFF_STARTS
from edge.camera.tiff_pages import TiffPages
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".pgm", ".ppm"}
)
NOT_READ = frozenset(
    {
        *(".gif", ".apng", ".jp2", ".j2k", ".j2c", ".jpx", ".jpf", ".jxl", ".jxr", ".avif", ".avifs", ".heic", ".heif", ".hif"),
        *(".tga", ".pbm", ".pnm", ".pam", ".psd", ".exr", ".hdr", ".dcm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw"),
        *(".svs", ".ndpi", ".mrxs", ".scn", ".czi", ".lif", ".nd2", ".oib", ".vsi", ".qptiff", ".bif", ".stk", ".lsm"),
    }
)
"""Names of pictures that are not read, here or in the trainer: each is said in a sentence, never something to pass over."""

_READ = "JPEG, PNG, TIFF, BMP, WebP, PGM or PPM"
_BEGINNING = 16384
_PLAIN_STARTS = (BMP_START, *PNM_STARTS)

quiet_opencv()


def read_image(path: Path, name: str) -> tuple[Image, SourceNote | None]:
    """Read a file that holds one image as uint8 BGR [H, W, 3], with the note of a conversion; errors call it `name`.

    For the edge and the trainer alike. Raises `FrameError`, in one sentence, when the file is no regular file, is empty, cut
    short, damaged, not decodable, of an unsupported pixel format, or holds several pages: which of them is meant nobody can
    tell. Damage is told for JPEG (every warning of the decoder), PNG (checksums), WebP (data that end before or after the
    picture) and TIFF (deflate, LZW, PackBits, JPEG parts that do not unpack to their size); uncompressed pixels have nothing
    that could show it but their number.
    """
    with ImageFile(path, name) as file:
        if file.n_pages > 1:
            raise FrameError(f"{name} holds {file.n_pages} pages where one is wanted; save each page as a file of its own.")
        return file.read(0)


def count_pages(path: Path, name: str) -> int:
    """Pages of a file, each a field; 1 for one that cannot be used, which fails when it is read. Never raises.

    Reads the directory of a TIFF file, and the beginning of a JPEG, where a Multi-Picture index stands: pictures that follow
    without one are found when the file is read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return 1
        with path.open("rb", buffering=0) as file:
            start = file.read(_BEGINNING)
        if start.startswith(JPEG_START):
            return len(listed_pictures(start) or ".")
        if start[:4] in TIFF_STARTS:
            with ImageFile(path, name) as whole:
                return whole.n_pages
    except (OSError, ValueError, FrameError):
        pass
    return 1


def require_file(path: Path, name: str) -> None:
    """Before anything opens it, as a pipe would keep it waiting. Raises `FrameError`, and OSError when nothing is there."""
    kind = path.stat().st_mode
    if not stat.S_ISREG(kind):
        raise FrameError(f"{name} is no file but {_kind(kind)}; give image files.")


class ImageFile:
    """A file whose pages are read one by one; a context, as a TIFF stack stays open. Raises `FrameError` as `read_image`."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._tiff: TiffPages | None = None
        self._content = b""
        try:
            require_file(path, name)
            if path.suffix.lower() in NOT_READ:
                kind = path.suffix.lower()
                raise FrameError(f"{name} cannot be decoded: it is no {_READ} but {kind}; save it as PNG, or remove it.")
            with path.open("rb") as file:
                start = file.read(4)
                if start not in TIFF_STARTS:
                    self._content = start + file.read()
        except OSError as problem:
            raise FrameError(f"{name} cannot be read ({problem.strerror}); check the file and its permissions.") from problem
        if start in TIFF_STARTS:
            self._tiff = TiffPages(path, name)
        elif not start:
            raise FrameError(f"{name} is empty (0 bytes); copy it again from where it was made.")
        self._pictures = pictures_in(self._content) if self._content.startswith(JPEG_START) else []
        self.n_pages = len(self._tiff) if self._tiff else max(1, len(self._pictures))

    def __enter__(self) -> "ImageFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def read(self, page: int) -> tuple[Image, SourceNote | None]:
        """Page `page` as `read_image` gives it."""
        if self._tiff is not None:
            return channels_to_bgr(self._tiff.read(page), self._name)
        if self._pictures:
            return self._read_jpeg(page)
        content, name = self._content, self._name
        if not (content.startswith((PNG_START, *_PLAIN_STARTS)) or is_webp(content)):
            raise FrameError(f"{name} cannot be decoded: it is no {_READ}; save it as PNG, or remove it.")
        refuse_animation(content, name)
        is_plain = content.startswith(_PLAIN_STARTS)
        if is_plain:
            verify_plain(content, name)
        elif content.startswith(PNG_START):
            verify_png(content, name)
        try:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as problem:
            raise FrameError(f"{name} cannot be decoded ({problem.err or 'no reason given'}); save it again.") from problem
        if pixels is None:
            raise FrameError(f"{name} cannot be decoded: it is truncated, damaged or no image; copy it again or remove it.")
        if is_webp(content):
            verify_webp(content, name)
        elif is_plain and pixels.dtype == np.uint8:
            refuse_hole(np.asarray(pixels, np.uint8), name, bottom_up=content.startswith(BMP_START))
        return channels_to_bgr(pixels, name)

    def close(self) -> None:
        if self._tiff is not None:
            self._tiff.close()

    def _read_jpeg(self, page: int) -> tuple[Image, SourceNote | None]:
        if self.n_pages == 1:
            return decode_jpeg(self._content[self._pictures[0]], self._name)
        name = f"{self._name}, page {page + 1} of {self.n_pages},"
        image, note = decode_jpeg(self._content[self._pictures[page]], name)
        return image, note


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISDIR: "a folder",
        stat.S_ISFIFO: "a pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
    }
    return next((what for is_kind, what in kinds.items() if is_kind(mode)), "something else")
