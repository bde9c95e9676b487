"""Images on disk, losslessly, with an index that says the rest: what recordings and kept cells have in common."""

import hashlib
import json
from pathlib import Path
from typing import IO, Any

from leukostream.edge.camera.frame import PixelFormat
from leukostream.edge.contracts.detections import Image
from leukostream.edge.contracts.errors import SourceError


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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index: IO[str] = (folder / index).open("x", encoding="utf-8")
            self._write(about)
        except FileExistsError as problem:
            raise SourceError(f"{folder} holds a recording already; give another folder.") from problem
        except OSError as problem:
            raise SourceError(f"{folder} cannot be written ({problem.strerror}); give another folder.") from problem

    def keep(
        self, line: dict[str, Any], image: Image | None, um_per_px: float, pixel_format: PixelFormat = "BGR8", folder: str = ""
    ) -> None:
        """A line of the index, and its image as a file in `folder`; once the room is used up, neither."""
        size = 0 if image is None else image.nbytes
        if self.full:
            return
        if size > self._left:
            self.full = f"{self.folder} has reached its size after {self.n_kept} images; further ones are not kept."
            return
        try:
            if image is not None:
                name = f"{folder}/{self.n_kept:07d}.tif" if folder else f"{self.n_kept:07d}.tif"
                write_tiff(self.folder / name, image, um_per_px, pixel_format)
                line = line | {"file": name, "sha256": sha256_of(image)}
            self._write(line)
        except OSError as problem:
            self.failed = True
            self.full = f"{self.folder} cannot be written any more ({problem.strerror}); {self.n_kept} images are in it."
            return
        self._left -= size
        self.n_kept += 1

    def close(self) -> None:
        """Finish the index."""
        self._index.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._index.write(json.dumps(line) + "\n")
        self._index.flush()


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
