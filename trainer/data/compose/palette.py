"""The two colours that differ most between laboratories, and moving an image from one pair to another."""

from typing import NamedTuple

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image

MOST_STRETCH = 1.5
"""More would push nuclei to black or wash them out."""

_LEVELS: Float32 = np.arange(256, dtype=np.float32)
DENSITY: Float32 = -np.log((_LEVELS + 1.0) / 256.0)
"""Optical density by grey level (Lambert-Beer, natural logarithm): dyes add up in it."""


class Palette(NamedTuple):
    """Optical densities per channel (BGR), [3] float32 each: of the empty slide and of the red cells."""

    empty: Float32
    red_cells: Float32


def palette_of(image: Image, boxes: Float32) -> Palette:
    """Measure an image outside its annotated cells. Red cells are what Otsu's threshold calls dark there."""
    small = image[::2, ::2]
    grey = small[..., 1]
    level, _ = cv2.threshold(np.ascontiguousarray(grey), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    outside = np.ones(grey.shape, bool)
    for x1, y1, x2, y2 in (boxes / 2).astype(int).tolist():
        outside[y1 : y2 + 1, x1 : x2 + 1] = False
    if not outside.any():
        outside[:] = True
    bright = small[outside & (grey > level)]
    dark = small[outside & (grey <= level)]
    empty = np.median(bright, axis=0) if len(bright) else np.array([230.0] * 3)
    red = np.median(dark, axis=0) if len(dark) else empty * 0.7
    return Palette(*(np.asarray(-np.log((colour + 1.0) / 256.0), np.float32) for colour in (empty, red)))


def repainted(image: Image, own: Palette, wanted: Palette, most_stretch: float = MOST_STRETCH) -> Image:
    """Move the empty slide and the red cells to the wanted colours; everything else follows linearly in optical density."""
    own_depth = np.maximum(own.red_cells - own.empty, 0.05)
    stretch = ((wanted.red_cells - wanted.empty) / own_depth).clip(1 / most_stretch, most_stretch)
    density = (DENSITY[:, None] - own.empty) * stretch + wanted.empty
    table = (256.0 * np.exp(-density) - 1.0).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def palette_distance(a: Palette, b: Palette) -> float:
    """How far the red cells of one stand out from the empty slide in other channels than those of the other."""
    return float(np.abs(np.subtract(a.red_cells - a.empty, b.red_cells - b.empty)).sum())


def varied(palette: Palette, rng: np.random.Generator, amount: float) -> Palette:
    """A neighbouring laboratory: both colours moved by normal steps of `amount` in optical density."""
    empty = (palette.empty + rng.normal(0, amount, 3).astype(np.float32)).clip(0.0, 1.2)
    return Palette(empty, empty + (palette.red_cells - palette.empty) * np.exp(rng.normal(0, 2 * amount, 3)).astype(np.float32))
