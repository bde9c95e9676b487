"""Fields of red cells without any leukocyte, sewn together from the parts of images that have none."""

from typing import NamedTuple

import numpy as np

from leukostream.edge.contracts.detections import Float32, Image
from leukostream.trainer.data.field import Field, turned
from leukostream.trainer.data.palette import Palette, repainted

CLEARANCE_PX = 5
"""Kept free around an annotated cell: boxes are drawn by hand."""

MIN_SIDE_PX = 66
"""A red cell and a little more, at 0.13 um/px."""

SEAM_PX = 14


class Scrap(NamedTuple):
    """A leukocyte-free rectangle of image number `image`: x1 y1 x2 y2 in its pixels."""

    image: int
    x1: int
    y1: int
    x2: int
    y2: int


def free_rectangles(number: int, width: int, height: int, boxes: Float32) -> list[Scrap]:
    """The widest, tallest, leftmost ... rectangles beside the boxes, large enough to be of use."""
    if not len(boxes):
        return [Scrap(number, 0, 0, width, height)]
    x1, y1 = np.floor(boxes[:, :2].min(axis=0)).astype(int) - CLEARANCE_PX
    x2, y2 = np.ceil(boxes[:, 2:].max(axis=0)).astype(int) + CLEARANCE_PX
    beside = [(0, 0, x1, height), (x2, 0, width, height), (0, 0, width, y1), (0, y2, width, height)]
    return [Scrap(number, *map(int, r)) for r in beside if min(r[2] - r[0], r[3] - r[1]) >= MIN_SIDE_PX]


class Scenery:
    """Sews scraps of one source into fields. `images` and `palettes` are indexed by `Scrap.image`."""

    def __init__(self, images: list[Image], palettes: list[Palette], scraps: list[Scrap]) -> None:
        self.images, self.palettes = images, palettes
        # Upright and lying: a row takes any scrap that is at least as tall as the row.
        both = [(s.y2 - s.y1, s, False) for s in scraps] + [(s.x2 - s.x1, s, True) for s in scraps]
        both.sort(key=lambda row: row[0])
        self._heights = np.array([row[0] for row in both])
        self._scraps = [(row[1], row[2]) for row in both]

    def _piece(self, rng: np.random.Generator, at_least: int, wanted: Palette) -> Image:
        first = int(np.searchsorted(self._heights, at_least))
        scrap, lying = self._scraps[int(rng.integers(min(first, len(self._scraps) - 1), len(self._scraps)))]
        part = self.images[scrap.image][scrap.y1 : scrap.y2, scrap.x1 : scrap.x2]
        painted = repainted(np.ascontiguousarray(part), self.palettes[scrap.image], wanted)
        nothing = Field(painted, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
        return turned(nothing, int(rng.integers(4)) + (4 if lying else 0)).image

    def field(self, rng: np.random.Generator, width_px: int, height_px: int, wanted: Palette) -> Image:
        """uint8 [height_px, width_px, 3] in the wanted colours."""
        canvas = np.empty((height_px, width_px, 3), np.uint8)
        top = 0
        while top < height_px:
            first = self._piece(rng, 0, wanted)
            row_height = first.shape[0]
            row = np.empty((row_height, width_px, 3), np.uint8)
            left, piece = 0, first[:, int(rng.integers(max(1, first.shape[1] // 2))) :]
            while True:
                _sew(row, piece, left)
                left += piece.shape[1] - SEAM_PX
                if left + SEAM_PX >= width_px:
                    break
                piece = self._piece(rng, row_height, wanted)
                row_of_piece = int(rng.integers(max(1, piece.shape[0] - row_height + 1)))
                piece = piece[row_of_piece : row_of_piece + row_height]
            if not top and row_height > MIN_SIDE_PX:
                row = row[int(rng.integers(row_height - MIN_SIDE_PX)) :]
            _sew(canvas.transpose(1, 0, 2), row.transpose(1, 0, 2), top)
            top += row.shape[0] - SEAM_PX
        return canvas


def _sew(canvas: Image, piece: Image, left: int) -> None:
    """Put a piece into a canvas of its height from column `left` on; the seam fades from one to the other."""
    piece = piece[: canvas.shape[0], : canvas.shape[1] - left]
    height = piece.shape[0]
    seam = min(SEAM_PX, piece.shape[1]) if left else 0
    if seam:
        fade = ((np.arange(seam, dtype=np.float32) + 0.5) / seam)[None, :, None]
        under = canvas[:height, left : left + seam].astype(np.float32)
        canvas[:height, left : left + seam] = (under + (piece[:, :seam] - under) * fade + 0.5).astype(np.uint8)
    canvas[:height, left + seam : left + piece.shape[1]] = piece[:, seam:]
