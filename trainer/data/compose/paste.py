"""Putting one cell onto a field."""

import numpy as np

from edge.contracts.detections import Float32, Image


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
