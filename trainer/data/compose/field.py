"""One training field and what cutting does to its boxes."""

from dataclasses import dataclass

import cv2
import numpy as np

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
