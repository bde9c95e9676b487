"""Fields of red cells without any leukocyte, sewn together from tiles whose leukocytes were covered up.

Covers are pasted the way leukocytes are, so that the traces of pasting mean nothing to a model.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image
from trainer.data.compose.field import Field, blend, soft_ellipse, turned
from trainer.data.compose.palette import Palette, palette_distance, repainted

CLEARANCE_PX = 5
"""Kept free around an annotated cell: boxes are drawn by hand."""

MIN_COVER_PX = 110
"""A cover has at least two red cells across, at 0.13 um/px."""

COVER_AROUND = 1.3
"""Size of the covering ellipse against the one inscribed in the box: at 1.41 it would reach the corners."""

FEATHER_PX = 7.0

COVERS_TRIED = 12
"""The one whose colours are nearest to the tile's is taken."""

COVER_STRETCH = 2.0
"""Covers have no nuclei to spoil, so they may follow the colours around them further than cells may."""

SEAM_PX = 14
MIN_FIRST_ROW_PX = 60


class Scrap(NamedTuple):
    """A leukocyte-free rectangle of image number `image`: x1 y1 x2 y2 in its pixels."""

    image: int
    x1: int
    y1: int
    x2: int
    y2: int


def free_rectangles(number: int, width: int, height: int, boxes: Float32) -> list[Scrap]:
    """What lies left, right, above and below of all boxes, where it is large enough for a cover."""
    if not len(boxes):
        return [Scrap(number, 0, 0, width, height)]
    x1, y1 = (np.floor(boxes[:, :2].min(axis=0)).astype(int) - CLEARANCE_PX).tolist()
    x2, y2 = (np.ceil(boxes[:, 2:].max(axis=0)).astype(int) + CLEARANCE_PX).tolist()
    beside = [(0, 0, x1, height), (x2, 0, width, height), (0, 0, width, y1), (0, y2, width, height)]
    return [Scrap(number, *r) for r in beside if min(r[2] - r[0], r[3] - r[1]) >= MIN_COVER_PX]


class Scenery:
    """Covers the leukocytes of one source's tiles once, then sews them into fields.

    `images`, `palettes` and `boxes` are indexed alike; `tiles` are the image numbers to use, `scraps` what to cover with,
    `keep` what a covered tile is kept by.
    """

    def __init__(
        self,
        images: list[Image],
        palettes: list[Palette],
        boxes: list[Float32],
        tiles: list[int],
        scraps: list[Scrap],
        rng: np.random.Generator,
        keep: Callable[[Image], Image],
    ) -> None:
        self._images, self._palettes = images, palettes
        covered = [(self._covered(number, boxes[number], scraps, rng, keep), palettes[number]) for number in tiles]
        self._tiles = sorted(covered, key=lambda tile: tile[0].shape[0])
        self._heights = np.array([tile.shape[0] for tile, _ in self._tiles])

    def _covered(
        self, number: int, boxes: Float32, scraps: list[Scrap], rng: np.random.Generator, keep: Callable[[Image], Image]
    ) -> Image:
        image = self._images[number]
        if not len(boxes):
            return image
        image = image.copy()
        for box in boxes:
            reach = (box[2:] - box[:2]) / 2 * (COVER_AROUND - 1) + FEATHER_PX
            left, top = np.floor(box[:2] - reach).astype(int).tolist()
            width, height = np.ceil(box[2:] + reach - np.array([left, top])).astype(int).tolist()
            scrap = min(
                (scraps[k] for k in rng.integers(len(scraps), size=COVERS_TRIED)),
                key=lambda one: palette_distance(self._palettes[one.image], self._palettes[number]),
            )
            part = self._images[scrap.image][scrap.y1 : scrap.y2, scrap.x1 : scrap.x2]
            off_y, off_x = (int(rng.integers(max(0, a - b) + 1)) for a, b in zip(part.shape, (height, width), strict=False))
            part = part[off_y : off_y + height, off_x : off_x + width]
            # A cover that is too small goes on as its own mirror image.
            more = (0, height - part.shape[0], 0, width - part.shape[1])
            part = np.asarray(cv2.copyMakeBorder(part, *more, cv2.BORDER_REFLECT), np.uint8)
            part = repainted(part, self._palettes[scrap.image], self._palettes[number], COVER_STRETCH)
            local = box - np.array([left, top, left, top], np.float32)
            blend(image, part, soft_ellipse(width, height, local, COVER_AROUND, FEATHER_PX), left, top)
        return keep(image)

    def _piece(self, rng: np.random.Generator, at_least: int, wanted: Palette) -> Image:
        first = min(int(np.searchsorted(self._heights, at_least)), len(self._tiles) - 1)
        image, palette = self._tiles[int(rng.integers(first, len(self._tiles)))]
        nothing = Field(repainted(image, palette, wanted), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
        return turned(nothing, int(rng.integers(4))).image

    def field(self, rng: np.random.Generator, width_px: int, height_px: int, wanted: Palette) -> Image:
        """uint8 [height_px, width_px, 3] in the wanted colours."""
        canvas = np.empty((height_px, width_px, 3), np.uint8)
        top = 0
        while top < height_px:
            piece = self._piece(rng, 0, wanted)
            row = np.empty((piece.shape[0], width_px, 3), np.uint8)
            left = 0
            piece = piece[:, int(rng.integers(piece.shape[1] * 2 // 3)) :]
            while True:
                _sew(row, piece, left)
                left += piece.shape[1] - SEAM_PX
                if left + SEAM_PX >= width_px:
                    break
                piece = self._piece(rng, row.shape[0], wanted)[: row.shape[0]]
            hidden = int(rng.integers(max(1, row.shape[0] - MIN_FIRST_ROW_PX))) if top == 0 else 0
            _sew(canvas.transpose(1, 0, 2), row[hidden:].transpose(1, 0, 2), top)
            top += row.shape[0] - hidden - SEAM_PX
        return canvas


def _sew(canvas: Image, piece: Image, left: int) -> None:
    """Put a piece into a canvas of about its height from column `left` on; the seam fades from one to the other."""
    piece = piece[: canvas.shape[0], : canvas.shape[1] - left]
    height = piece.shape[0]
    seam = min(SEAM_PX, piece.shape[1]) if left else 0
    if seam:
        fade = ((np.arange(seam, dtype=np.float32) + 0.5) / seam)[None, :, None]
        under = canvas[:height, left : left + seam].astype(np.float32)
        canvas[:height, left : left + seam] = (under + (piece[:, :seam] - under) * fade + 0.5).astype(np.uint8)
    canvas[:height, left + seam : left + piece.shape[1]] = piece[:, seam:]
