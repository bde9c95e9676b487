"""Images on disk, losslessly, with an index that says the rest: what stored frames and kept crops have in common."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.camera.frame import PixelFormat
from edge.contracts.detections import Image
from edge.contracts.errors import SourceError, first_line


class TiffStore:
    """A new directory of at most `max_mb` megabytes of images; `about` is the index's first line.

    Raises `SourceError` when it cannot be begun. Later nothing is raised: a run must not end because a disk is full.
    """

    def __init__(self, folder: Path, index: str, about: dict[str, Any], max_mb: float) -> None:
        self.folder = folder
        self._left = max_mb * 1e6
        self.n_kept = 0
        self.full = ""
        """Why nothing more is kept; empty while there is room."""
        self.failed = False
        """Whether that is the disk's fault, and not the size that was asked for."""
        self._path = folder / index
        self._whole = 0
        try:
            self._is_new_folder = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what the disk has refused must not come up again when the file is closed.
            self._index = self._path.open("xb", buffering=0)
        except OSError as problem:
            if isinstance(problem, FileExistsError) and folder.is_dir():
                raise SourceError(f"{folder} holds a recording already; give another folder.") from problem
            raise SourceError(f"{folder} cannot be written ({problem.strerror}); give another folder.") from problem
        try:
            self._write(about)
        except OSError as problem:
            self.close()
            raise SourceError(f"{folder} cannot be written ({problem.strerror}); give another folder.") from problem

    def keep(
        self, line: dict[str, Any], image: Image | None, um_per_px: float, pixel_format: PixelFormat = "BGR8", folder: str = ""
    ) -> None:
        """A line of the index, and its image as a file in `folder`; once the room is used up, neither."""
        size = 0 if image is None else image.nbytes
        if self.full or self._index.closed:  # closed under a thread that was abandoned in its driver
            return
        if size > self._left:
            self.full = f"{self.folder} has reached its size after {self.n_kept} images; further ones are not kept."
            return
        file = None
        try:
            if image is not None:
                name = f"{folder}/{self.n_kept:07d}.tif" if folder else f"{self.n_kept:07d}.tif"
                file = self.folder / name
                write_tiff(file, image, um_per_px, pixel_format)
                line = line | {"file": name, "sha256": sha256_of(image)}
            self._write(line)
        except OSError as problem:
            self._fail(problem)
            if file is not None:
                _remove(file)
                _remove_empty(file.parent)
            return
        self._left -= size
        self.n_kept += 1

    def close(self) -> None:
        """Finish the index; when nothing was kept it goes, so that the folder can be given again. Never raises."""
        if self._index.closed:
            return
        try:
            self._index.close()
        except OSError as problem:  # a disk may say only now that it did not take what was written
            self._fail(problem)
        if self.n_kept:
            return
        _remove(self._path)
        if self._is_new_folder:
            _remove_empty(self.folder)

    def _fail(self, problem: OSError) -> None:
        if not self.failed:
            self.failed = True
            why = problem.strerror or first_line(problem)  # numpy's own has no error number
            self.full = f"{self.folder} cannot be written any more ({why}); {self.n_kept} images are in it."

    def _write(self, line: dict[str, Any]) -> None:
        """Append to the index, the whole line or nothing of it. Raises OSError."""
        data = json.dumps(line).encode() + b"\n"
        try:
            while data:
                data = data[self._index.write(data) :]
        except OSError:
            with suppress(OSError):
                self._index.truncate(self._whole)
            raise
        self._whole = self._index.tell()


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def write_tiff(file: Path, image: Image, um_per_px: float, pixel_format: PixelFormat) -> None:
    """Uncompressed, with its scale; colours in TIFF's order, a Bayer mosaic as it is. Raises OSError."""
    import tifffile  # noqa: PLC0415 - few runs write, and every command would load it

    file.parent.mkdir(exist_ok=True)
    per_cm = 1e4 / um_per_px
    tifffile.imwrite(
        file,
        image[:, :, ::-1] if pixel_format == "BGR8" else image,
        photometric="rgb" if image.ndim == 3 else "minisblack",
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
    )


def sha256_of(image: Image) -> str:
    """Hex SHA-256 of the image's bytes, as it lies in memory."""
    return hashlib.sha256(image.tobytes()).hexdigest()
