"""Images of one field at known heights: which file is which height, and their pixels one after the other."""

import csv
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge.camera.decode import ImageFile
from edge.camera.image_listing import list_images, name_below
from edge.contracts.bundle import sha256_of
from edge.contracts.detections import Image
from edge.contracts.errors import DataError, FrameError
from edge.contracts.whole_file import read_whole

_COLUMNS = ("image", "z_um")


@dataclass(frozen=True, slots=True)
class Plane:
    """One image of a stack."""

    name: str
    z_um: float
    path: Path
    page: int


def planes_by_step(source: str, step_um: float) -> list[Plane]:
    """Every page of every image of a folder, a glob or one file in natural order, `step_um` apart, from 0 upwards.

    Raises `SourceError` when there is none, `DataError` when a file cannot be read.
    """
    root, files, _ = list_images(source)
    pages = [(file, page) for file in files for page in range(_n_pages(file, name_below(root, file)))]
    return [
        Plane(name_below(root, file) + (f", page {page + 1}" if page else ""), at * step_um, file, page)
        for at, (file, page) in enumerate(pages)
    ]


def planes_by_table(source: str, table: Path) -> list[Plane]:
    """The images that `table` gives a height, lowest first: CSV, columns image and z_um, names as in the folder `source`.

    Raises `DataError` when the table cannot be read, has other columns, names an image that is not there or one height twice;
    an image of the folder that it does not name is an error, too: a height that was forgotten moves the peak.
    """
    root, files, _ = list_images(source)
    by_name = {name_below(root, file): file for file in files}
    planes = [Plane(name, z_um, by_name[name], 0) for name, z_um in _heights(table) if name in by_name]
    named = [name for name, _ in _heights(table)]
    if missing := [name for name in named if name not in by_name]:
        raise DataError(f"{table} names {missing[0]}, which is not in {source}; write the names as they are in the folder.")
    if unnamed := sorted(set(by_name) - set(named)):
        raise DataError(
            f"{table} has no height for {unnamed[0]} of {source}; add its line, or take the image out of the folder."
        )
    if len({plane.z_um for plane in planes}) < len(planes) or len(set(named)) < len(named):
        raise DataError(f"{table} gives one image or one height twice; every height once, please.")
    return sorted(planes, key=lambda plane: plane.z_um)


def pixels_of(planes: list[Plane]) -> Iterator[tuple[Plane, Image]]:
    """Each plane with its image (uint8 BGR [H, W, 3]). Raises `DataError` for one that is damaged or of another size."""
    size: tuple[int, ...] | None = None
    for plane in planes:
        try:
            with ImageFile(plane.path, plane.name) as file:
                image, _ = file.read(plane.page)
        except (FrameError, OSError) as problem:
            raise DataError(f"{problem} A stack with a hole shows no peak; take that image again.") from problem
        if size is not None and image.shape != size:
            raise DataError(f"{plane.name} is of another size than the images before it; a stack is of one camera, unchanged.")
        size = image.shape
        yield plane, image


def sha256_of_all(planes: list[Plane]) -> str:
    """The hash of the files' hashes, lowest plane first."""
    each = "".join(sha256_of(path) for path in dict.fromkeys(plane.path for plane in planes))
    return hashlib.sha256(each.encode()).hexdigest()


def _n_pages(file: Path, name: str) -> int:
    try:
        with ImageFile(file, name) as opened:
            return opened.n_pages
    except (FrameError, OSError) as problem:
        raise DataError(f"{problem} A stack with a hole shows no peak; take that image again.") from problem


def _heights(table: Path) -> list[tuple[str, float]]:
    try:
        text = read_whole(table).decode("utf-8-sig")
    except (OSError, UnicodeError) as problem:
        raise DataError(f"{table} cannot be read as UTF-8 text ({problem}); give a CSV file with image and z_um.") from problem
    rows = list(csv.DictReader(text.splitlines()))
    if not rows or not set(_COLUMNS) <= set(rows[0]):
        raise DataError(f"{table} has not the columns {' and '.join(_COLUMNS)}; its first line names them.")
    heights = []
    for line, row in enumerate(rows, start=2):
        try:
            z_um = float(row["z_um"])
        except (TypeError, ValueError):
            z_um = math.nan
        if not math.isfinite(z_um) or not row["image"]:
            raise DataError(f"line {line} of {table} has no height in um; write it as a plain number, with a point.")
        heights.append((row["image"], z_um))
    return heights
