"""Tileable noise, drawn once: chromatin, mottled cytoplasm, plasma, sensor noise are all cut from it."""

import cv2
import numpy as np

from edge.contracts.detections import Float32

_TILE_PX = 512
GRAIN_SIGMA_PX = {"fine": 1.0, "medium": 1.7, "coarse": 2.6, "cloud": 7.0}
"""Grain of the noise at 0.13 um/px."""


def wrapped_blur(tile: Float32, sigma_px: float) -> Float32:
    """Gaussian blur of a tile that continues itself on the other side."""
    pad = int(4 * sigma_px) + 1
    padded = np.pad(tile, ((pad, pad), (pad, pad)) + ((0, 0),) * (tile.ndim - 2), mode="wrap")
    return cv2.GaussianBlur(padded, (0, 0), sigma_px)[pad:-pad, pad:-pad].astype(np.float32, copy=False)


class Textures:
    """Noise tiles of unit variance at each grain, one set per seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 0x7E57])
        self._tiles: dict[str, Float32] = {}
        for grain, sigma in GRAIN_SIGMA_PX.items():
            tile = wrapped_blur(rng.standard_normal((_TILE_PX, _TILE_PX), dtype=np.float32), sigma)
            self._tiles[grain] = (tile - tile.mean()) / tile.std()

    def cut(self, rng: np.random.Generator, grain: str, size_px: int) -> Float32:
        """A random square of `size_px` (at most 512)."""
        y, x = rng.integers(0, _TILE_PX - size_px + 1, 2)
        return self._tiles[grain][y : y + size_px, x : x + size_px]
