"""Decoded images at one physical scale, in a file for the operating system to hold in memory as far as there is room."""

import mmap
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image, Int32
from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation
from trainer.data.faults import STRICT, Faults, TooSmall
from trainer.data.source_files import read_image


def scaled_size(width_px: int, height_px: int, factor: float) -> tuple[int, int]:
    """(width, height) in whole pixels, at least one, of an image that is `factor` times as large."""
    return max(1, round(width_px * factor)), max(1, round(height_px * factor))


MIN_IMAGE_PX = 48
"""No leukocyte is smaller at 0.13 um/px, and scenery cannot be sewn of less."""


def require_room(row: Annotation, um_per_px: float) -> None:
    """Raises `TooSmall` for an image that holds no cell at `um_per_px`, by its header alone."""
    width_px, height_px = scaled_size(row.width_px, row.height_px, row.um_per_px / um_per_px)
    if min(width_px, height_px) < MIN_IMAGE_PX:
        raise TooSmall(
            f"{row.path} is only {width_px}x{height_px} px at {um_per_px:g} um/px, too small for a cell; "
            f"correct the um_per_px of {row.source} ({row.um_per_px:g}) or strike the image."
        )


class ImageStore:
    """Decodes each image once and keeps it in a file of `folder`, rescaled to `um_per_px`, as uint8 BGR (1.3 MB a field).

    `tables` move the colours of the sources that they name: uint8 [256, 3] (BGR) each.
    """

    def __init__(
        self, um_per_px: float = 0.13, folder: Path | None = None, tables: Mapping[str, Image] = MappingProxyType({})
    ) -> None:
        self.um_per_px, self._tables = um_per_px, tables
        self.keep = PixelFile(folder).keep
        self._images: dict[str, Image] = {}

    def load(self, annotations: Sequence[Annotation], faults: Faults = STRICT) -> list[Annotation]:
        """Decode all images now, so that a file damaged later does no harm; the annotations of those that can be read.

        An image that cannot be read goes to `faults`. Raises `DataError` where those do not bear it, or no more of them.
        """
        kept: list[Annotation] = []
        for annotation in annotations:
            with faults.of(annotation.path):
                self.get(annotation)
                kept.append(annotation)
        faults.within_limit(len(kept))
        return kept

    def get(self, annotation: Annotation) -> tuple[Image, Float32, Int32]:
        """image uint8 [h, w, 3], boxes [n, 4] float32 in its pixels, labels [n]. Raises `DataError` for a damaged file."""
        key = str(annotation.path)
        if key not in self._images:
            image = read_image(annotation.path)
            factor = annotation.um_per_px / self.um_per_px
            size = scaled_size(image.shape[1], image.shape[0], factor)
            # Area averaging when shrinking, as the optics of a coarser pixel would; bilinear when enlarging.
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
            if (table := self._tables.get(annotation.source)) is not None:
                image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
            self._images[key] = self.keep(image)
        image = self._images[key]
        scale = np.array([image.shape[1] / annotation.width_px, image.shape[0] / annotation.height_px] * 2, np.float32)
        return image, annotation.boxes_px * scale, annotation.labels


SEGMENT_BYTES = 256 << 20
"""Mapped in one piece: a mapping for each image would take one of the process's file descriptors each."""


class PixelFile:
    """Keeps images outside the process's own memory, which a set of the reference's size (14,700 fields, 19 GB) would exceed.

    The file is in `folder`, or in the system's folder for temporary files, and is gone with the process, however that ends.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None
        self._segment = memoryview(b"")
        self._begins = self._used = 0

    def keep(self, image: Image) -> Image:
        """The same pixels in the file, read-only. Raises `DataError` when the file cannot be made or the disk is full."""
        pixels = np.ascontiguousarray(image)
        try:
            file = self._file = self._file or self._made()
            if self._used + pixels.nbytes > len(self._segment):
                self._extend(file, pixels.nbytes)
            # Written, not mapped for writing: a full disk is then an error, not the end of the process.
            file.seek(self._begins + self._used)
            file.write(pixels.data)
            file.flush()
        except OSError as problem:
            where = self._folder or tempfile.gettempdir()
            raise DataError(
                f"decoded images cannot be kept in {where} ({problem.strerror}); free the disk, or choose another folder: they "
                "take three bytes a pixel."
            ) from problem
        part = self._segment[self._used : self._used + pixels.nbytes]
        self._used += pixels.nbytes
        return np.frombuffer(part, np.uint8).reshape(pixels.shape)

    def _made(self) -> IO[bytes]:
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    def _extend(self, file: IO[bytes], wanted: int) -> None:
        """Go on in a new segment, large enough for an image of `wanted` bytes."""
        begins, size = self._begins + len(self._segment), -(-wanted // SEGMENT_BYTES) * SEGMENT_BYTES
        file.truncate(begins + size)
        self._segment = memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, offset=begins))
        self._begins, self._used = begins, 0
