"""Decoded images in a file without a name, for the operating system to hold in memory as far as there is room."""

import mmap
import tempfile
from pathlib import Path
from typing import IO

import numpy as np

from edge.contracts.detections import Image
from edge.contracts.errors import DataError

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
