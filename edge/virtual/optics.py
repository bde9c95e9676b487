"""What the microscope and the camera add: uneven light, plasma in the background, blur, sensor noise. All of it precomputed."""

import math

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image
from edge.virtual.settings import SlideSettings
from edge.virtual.shapes import wrapped_blur
from edge.virtual.stain import Stain

_TILE_PX = 512
_NOISE_LEVELS = 2.0  # standard deviation at noise = 1
_DARKEST_CORNER = 0.15  # at vignetting = 1
BLUR_PX_PER_UM = 4.4
"""Blur per micrometre out of focus, standard deviation. A point spreads to a disc of radius z * NA / sqrt(1 - NA^2), 1.13 z at
NA 0.75 (a dry 40x objective); a Gaussian of half that radius has the variance of the disc; then by 0.13 um/px."""
_MOST_DEFOCUS_PX = 30.0  # no cell is to be seen any more, and a wider blur takes longer
_LEAST_BLUR_PX = 0.2  # below this a Gaussian changes nothing


def _window(tile: Image, x: int, y: int, width: int, height: int) -> Image:
    return tile[y % _TILE_PX : y % _TILE_PX + height, x % _TILE_PX : x % _TILE_PX + width]


def _repeated(tile: Image, width: int, height: int) -> Image:
    """The tile continued so that a frame can be cut out at any offset below its size."""
    return np.pad(tile, ((0, height), (0, width), (0, 0)), mode="wrap")


class Optics:
    """Light, blur and noise for frames of one size."""

    def __init__(self, settings: SlideSettings, stain: Stain, width_px: int, height_px: int) -> None:
        self._settings = settings
        self._size = (width_px, height_px)
        rng = np.random.default_rng([settings.seed, 0x0971])
        self._light = self._uneven_light(rng, stain)
        plasma = wrapped_blur(rng.standard_normal((_TILE_PX, _TILE_PX, 3), dtype=np.float32), 6.0)
        plasma = plasma / plasma.std() * np.float32(0.8) + np.float32(253.0)
        self._plasma = _repeated(np.clip(np.rint(plasma), 0, 255).astype(np.uint8), width_px, height_px)
        # Interpolating a colour mosaic correlates neighbours a little.
        grain = wrapped_blur(rng.standard_normal((_TILE_PX, _TILE_PX, 3), dtype=np.float32), 0.6)
        grain = grain / grain.std() * np.float32(_NOISE_LEVELS * settings.noise) + np.float32(128.0)
        self._grain = _repeated(np.clip(np.rint(grain), 0, 255).astype(np.uint8), width_px, height_px)

    def _uneven_light(self, rng: np.random.Generator, stain: Stain) -> Image:
        width, height = self._size
        x = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None] - np.float32(rng.normal(0.0, 0.2))
        y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None] - np.float32(rng.normal(0.0, 0.2))
        tilt = rng.normal(0.0, 0.02, 2) * self._settings.vignetting
        fall = rng.uniform(0.3, 1.0) * _DARKEST_CORNER * self._settings.vignetting / 2.0
        gain: Float32 = np.asarray(1.0 - fall * (x * x + y * y) + tilt[0] * x + tilt[1] * y, np.float32)
        gain /= gain.max()
        return np.rint(gain[:, :, None] * np.asarray(stain.light_bgr, np.float32)).astype(np.uint8)

    def empty(self, left_px: int, top_px: int) -> Image:
        """The lit, empty slide whose top-left pixel is at this place of the stage."""
        plasma = _window(self._plasma, left_px, top_px, *self._size)
        return np.asarray(cv2.multiply(self._light, plasma, scale=1.0 / 253.0), np.uint8)

    def exposed(self, image: Image, rng: np.random.Generator, defocus_px: float = 0.0) -> Image:
        """Blur, noise and the flicker of the lamp; `rng` is this exposure's own, `defocus_px` what the height adds."""
        settings = self._settings
        blur = math.hypot(
            np.hypot(settings.blur_px, rng.normal(0.0, settings.defocus_px)), min(abs(defocus_px), _MOST_DEFOCUS_PX)
        )
        if blur > _LEAST_BLUR_PX:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8)
        if settings.noise:
            x, y = (int(offset) for offset in rng.integers(0, _TILE_PX, 2))
            flicker = float(rng.normal(0.0, settings.noise))
            image = np.asarray(
                cv2.addWeighted(image, 1.0, _window(self._grain, x, y, *self._size), 1.0, flicker - 128.0), np.uint8
            )
        return image
