"""Fields without gaps: whole tiles side by side, or single cells set close together."""

from collections.abc import Callable, Sequence

import numpy as np

from edge.camera.resample import background_of
from edge.contracts.detections import Float32
from trainer.data.compose.field import Field, cut_boxes

RIM = (0.04, 0.22)
"""Width of what is kept around a cell set close to others, against the box's side."""

TRIES = 8
"""Cells drawn for one place in a row before one that is too tall is cut."""


def tiles_side_by_side(rng: np.random.Generator, width_px: int, height_px: int, draw: Callable[[], Field]) -> Field:
    """Rows of whole tiles, each row as high as its lowest tile; the first of a row and the first row are cut at random."""
    field = _empty(width_px, height_px)
    top = 0
    while top < height_px:
        row: list[Field] = []
        covered = 0
        while covered < width_px:
            tile = draw()
            cut = int(rng.integers(tile.image.shape[1] // 2)) if not covered else 0
            cut_down = int(rng.integers(tile.image.shape[0] // 2)) if not top else 0
            row.append(_window(tile, cut, cut_down, tile.image.shape[1], tile.image.shape[0]))
            covered += row[-1].image.shape[1]
        pitch = min(tile.image.shape[0] for tile in row)
        left = 0
        for tile in row:
            _put(field, _window(tile, 0, 0, tile.image.shape[1], pitch), left, top)
            left += tile.image.shape[1]
        top += pitch
    return field


def cells_set_close(
    rng: np.random.Generator, width_px: int, height_px: int, draw: Callable[[], tuple[Field, Float32]]
) -> Field:
    """Rows of windows, each around one whole cell with little rim: more cells than whole tiles would hold.

    `draw` gives a piece of an image and the box [4] of the cell that it was drawn for.
    """
    field = _empty(width_px, height_px)
    field.image[:] = background_of(draw()[0].image)  # seen where a piece of a narrow image is lower than its row
    top = 0
    while top < height_px:
        drawn = [draw() for _ in range(3)]
        pitch = max(_extent(rng, piece, box, 1) for piece, box in drawn)
        if not top:
            top = -int(rng.integers(pitch // 2))
        left = -int(rng.integers(40))
        while left < width_px:
            piece, box = drawn.pop() if drawn else draw()
            for _ in range(TRIES):
                if box[3] - box[1] <= pitch <= piece.image.shape[0]:
                    break
                piece, box = draw()
            window = _around(rng, piece, box, _extent(rng, piece, box, 0), min(pitch, piece.image.shape[0]))
            _put(field, window, left, top)
            left += window.image.shape[1]
        top += pitch
    return field


def _extent(rng: np.random.Generator, piece: Field, box: Sequence[float] | Float32, axis: int) -> int:
    """Side of the window around a box along x (0) or y (1), within its piece."""
    side = float(box[2 + axis] - box[axis]) * (1 + 2 * float(rng.uniform(*RIM)))
    return min(int(np.ceil(side)), piece.image.shape[1 - axis])


def _around(rng: np.random.Generator, piece: Field, box: Float32, width_px: int, height_px: int) -> Field:
    """A window of the given size that holds the box where that is possible, placed at random."""
    corner = []
    for axis, side in ((0, width_px), (1, height_px)):
        last = piece.image.shape[1 - axis] - side
        low, high = int(np.ceil(box[2 + axis])) - side, int(box[axis])
        corner.append(int(rng.integers(min(low, high), max(low, high) + 1)))
        corner[-1] = min(max(corner[-1], 0), last)
    return _window(piece, corner[0], corner[1], corner[0] + width_px, corner[1] + height_px)


def _window(piece: Field, x1: int, y1: int, x2: int, y2: int) -> Field:
    return Field(piece.image[y1:y2, x1:x2], *cut_boxes(piece.boxes, piece.labels, (x1, y1, x2, y2)))


def _empty(width_px: int, height_px: int) -> Field:
    return Field(np.zeros((height_px, width_px, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


def _put(field: Field, piece: Field, left: int, top: int) -> None:
    """Copy what of the piece lies within the field, with its boxes."""
    height, width = field.image.shape[:2]
    x1, y1 = max(0, -left), max(0, -top)
    x2, y2 = min(piece.image.shape[1], width - left), min(piece.image.shape[0], height - top)
    if x1 >= x2 or y1 >= y2:
        return
    seen = _window(piece, x1, y1, x2, y2)
    field.image[top + y1 : top + y2, left + x1 : left + x2] = seen.image
    field.boxes = np.concatenate([field.boxes, seen.boxes + np.array([left + x1, top + y1] * 2, np.float32)])
    field.labels = np.concatenate([field.labels, seen.labels])
