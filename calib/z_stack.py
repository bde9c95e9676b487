"""Images of one field at known heights: which file is which height, and their pixels one after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calib.image_table import read_image_table
from edge.camera.decode import ImageFile
from edge.camera.image_listing import list_images, name_below
from edge.contracts.detections import Image
from edge.contracts.errors import DataError, FrameError


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
    root, files, _ = list_images(source.removeprefix("folder:"))
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
    planes = [Plane(name, z_um, file, 0) for name, file, (z_um,) in read_image_table(source, table, ("z_um",), "height")]
    if len({plane.z_um for plane in planes}) < len(planes):
        raise DataError(f"{table} gives one height twice; every height once, please.")
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


def _n_pages(file: Path, name: str) -> int:
    try:
        with ImageFile(file, name) as opened:
            return opened.n_pages
    except (FrameError, OSError) as problem:
        raise DataError(f"{problem} A stack with a hole shows no peak; take that image again.") from problem
