"""The surroundings of a box, as a data URI."""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge.contracts.errors import DataError
from trainer.data.files import read_image

SURROUNDINGS = 2.0
"""Side of the cut, in longer sides of its box: neighbours show, the cell still fills half of the picture."""

MIN_SIDE_PX, MAX_SIDE_PX = 48, 180
"""A smaller cut is all pixels; a larger picture is shrunk to the size it is shown in."""

JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Cutout:
    """`jpeg` is a data URI; `box_px` x1 y1 x2 y2 in its pixels, at least partly inside."""

    jpeg: str
    width_px: int
    height_px: int
    box_px: tuple[float, float, float, float]


class Cutter:
    """Cuts from the images under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def cut(self, image: str, box_px: tuple[float, float, float, float]) -> Cutout:
        """Raises `DataError` for an image outside the folder, missing or unreadable, and for a box outside its image."""
        path = (self._root / image).resolve()
        if not path.is_relative_to(self._root):
            raise DataError(f"image {image!r} of the summary is not under {self._root}; pictures are only taken from --root.")
        if not path.is_file():
            raise DataError(f"image {image!r} of the summary is not under {self._root}; give the --root it was measured with.")
        pixels = read_image(path)
        height, width = pixels.shape[:2]
        x1, y1, x2, y2 = box_px
        side = max(MIN_SIDE_PX, SURROUNDINGS * max(x2 - x1, y2 - y1))
        left, right = _span((x1 + x2) / 2, side, width)
        top, bottom = _span((y1 + y2) / 2, side, height)
        if right <= left or bottom <= top:
            raise DataError(f"the box {box_px} lies outside image {image!r}; was the summary measured on other files?")
        cut: cv2.typing.MatLike = pixels[top:bottom, left:right]
        scale = min(1.0, MAX_SIDE_PX / max(cut.shape[:2]))
        if scale < 1.0:
            cut = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return Cutout(
            _data_uri(cut),
            cut.shape[1],
            cut.shape[0],
            ((x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale),
        )


def _span(centre: float, side: float, limit: int) -> tuple[int, int]:
    return max(0, round(centre - side / 2)), min(limit, round(centre + side / 2))


def _data_uri(pixels: cv2.typing.MatLike) -> str:
    ok, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise DataError("a picture for the report could not be encoded; is OpenCV built with JPEG?")
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")
