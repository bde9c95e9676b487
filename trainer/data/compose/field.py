"""One training field: what cutting and turning do to its boxes, and putting a cell or an image onto it."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.camera.resample import background_of
from edge.contracts.detections import Float32, Image, Int32
from trainer.data.annotation import IGNORE

VISIBLE_FRACTION = 0.6
"""A cell of which less is seen is neither trained as a cell nor as background."""

MIN_VISIBLE_PX = 5.0


@dataclass(slots=True)
class Field:
    """image uint8 [H, W, 3] BGR; boxes [n, 4] float32 x1 y1 x2 y2 in its pixels; labels [n] int32 as in `Annotation`."""

    image: Image
    boxes: Float32
    labels: Int32


def cut_boxes(boxes: Float32, labels: Int32, window: tuple[float, float, float, float]) -> tuple[Float32, Int32]:
    """Boxes and labels within `window` (x1 y1 x2 y2), in the window's own pixels.

    Mostly hidden cells become `IGNORE`; slivers are dropped, because they are narrower than what could be recognised.
    """
    x1, y1, x2, y2 = window
    clipped = boxes.copy()
    clipped[:, 0::2] = clipped[:, 0::2].clip(x1, x2) - x1
    clipped[:, 1::2] = clipped[:, 1::2].clip(y1, y2) - y1
    seen_sides = clipped[:, 2:] - clipped[:, :2]
    sides = boxes[:, 2:] - boxes[:, :2]
    fraction = seen_sides.prod(axis=1) / sides.prod(axis=1).clip(1e-6)
    kept = seen_sides.min(axis=1, initial=np.inf) >= MIN_VISIBLE_PX
    return clipped[kept], np.where(fraction < VISIBLE_FRACTION, IGNORE, labels).astype(np.int32)[kept]


def turned(field: Field, turn: int) -> Field:
    """One of the eight flips and quarter turns: `turn` in 0..7."""
    image, boxes = field.image, field.boxes
    if turn & 4:
        image, boxes = np.asarray(cv2.transpose(image), np.uint8), boxes[:, [1, 0, 3, 2]]
    height, width = image.shape[:2]
    if turn & 3:
        image = np.asarray(cv2.flip(image, {1: 1, 2: 0, 3: -1}[turn & 3]), np.uint8)
    if turn & 1:
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    if turn & 2:
        boxes = np.stack([boxes[:, 0], height - boxes[:, 3], boxes[:, 2], height - boxes[:, 1]], axis=1)
    return Field(image, boxes.astype(np.float32, copy=False), field.labels)


def resized(field: Field, width_px: int, height_px: int) -> Field:
    """Stretched bilinearly, without a low-pass, as the exported graph does it."""
    height, width = field.image.shape[:2]
    image = cv2.resize(field.image, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    scale = np.array([width_px / width, height_px / height] * 2, np.float32)
    return Field(np.asarray(image, np.uint8), field.boxes * scale, field.labels)


def soft_ellipse(width: int, height: int, box: Float32, around: float, feather_px: float) -> Float32:
    """[height, width] float32: 1 within the ellipse inscribed in `box` times `around`, 0 further out than `feather_px`."""
    semi = (box[2:] - box[:2]) / 2 * around
    centre = (box[:2] + box[2:]) / 2
    x = (np.arange(width, dtype=np.float32) + 0.5 - centre[0]) / semi[0]
    y = (np.arange(height, dtype=np.float32) + 0.5 - centre[1]) / semi[1]
    beyond_px = (np.sqrt(x[None] ** 2 + y[:, None] ** 2) - 1.0) * semi.min()
    return np.asarray((1.0 - beyond_px / feather_px).clip(0.0, 1.0), np.float32)


def blend(canvas: Image, piece: Image, alpha: Float32, left: int, top: int) -> None:
    """Blend `piece` [h, w, 3] by `alpha` [h, w] over the canvas at (left, top); parts outside are cut away."""
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(canvas.shape[1], left + piece.shape[1]), min(canvas.shape[0], top + piece.shape[0])
    if x1 >= x2 or y1 >= y2:
        return
    window = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    under = canvas[y1:y2, x1:x2].astype(np.float32)
    canvas[y1:y2, x1:x2] = (under + (piece[window] - under) * alpha[window][..., None] + 0.5).astype(np.uint8)


def on_plain_ground(image: Field, width_px: int, height_px: int, share_x: float, share_y: float) -> Field:
    """A field of that size with the image on it, or as much of a larger one as it shows.

    What is over, of the field or of the image, lies left of and above it by `share_x` and `share_y` (0.5: it is centred).
    """
    canvas = np.empty((height_px, width_px, 3), np.uint8)
    canvas[:] = background_of(image.image)
    h, w = min(height_px, image.image.shape[0]), min(width_px, image.image.shape[1])
    from_x, from_y = int((image.image.shape[1] - w) * share_x), int((image.image.shape[0] - h) * share_y)
    left, top = int((width_px - w) * share_x), int((height_px - h) * share_y)
    canvas[top : top + h, left : left + w] = image.image[from_y : from_y + h, from_x : from_x + w]
    boxes, labels = cut_boxes(image.boxes, image.labels, (from_x, from_y, from_x + w, from_y + h))
    return Field(canvas, boxes + np.array([left, top, left, top], np.float32), labels)


def place(rng: np.random.Generator, field: Field, cell: Field, alpha: Float32) -> None:
    """Blend a cell (one box) into the field where it hides no other; gives up after a few tries on a crowded field."""
    height, width = field.image.shape[:2]
    for _ in range(6):
        centre = rng.uniform((0, 0), (width, height))
        left, top = (centre - np.array(cell.image.shape[1::-1]) / 2).astype(int).tolist()
        box = cell.boxes + np.array([left, top, left, top], np.float32)
        overlap = np.minimum(field.boxes[:, 2:], box[:, 2:]) - np.maximum(field.boxes[:, :2], box[:, :2])
        if (overlap > 4).all(axis=1).any():
            continue
        blend(field.image, cell.image, alpha, left, top)
        seen, labels = cut_boxes(box, cell.labels, (0, 0, width, height))
        field.boxes = np.concatenate([field.boxes, seen])
        field.labels = np.concatenate([field.labels, labels])
        return
