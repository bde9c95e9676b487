"""What differs between laboratories, microscopes and cameras, applied to a whole field."""

from functools import cache

import cv2
import numpy as np
from pydantic import Field as Setting

from edge.contracts.base import Fraction, Strict
from edge.contracts.detections import Float32, Image
from trainer.data.compose.field import Field
from trainer.data.compose.palette import DENSITY

STAINS = np.array([[0.29, 0.70, 0.65], [0.11, 0.99, 0.07], [0.78, 0.57, 0.27]])
"""Optical density (BGR) of one unit of haematoxylin-like dye, of eosin, and of their remainder (Ruifrok and Johnston 2001)."""


class AugmentSettings(Strict):
    """Strengths are standard deviations or upper limits; probabilities are shares of fields."""

    scale_min: float = Setting(0.8, gt=0, description="a cell's size in the field, against the size it was photographed at")
    scale_max: float = Setting(1.25, gt=0)
    aspect: float = Setting(0.05, ge=0, lt=0.5, description="standard deviation of the logarithm of width over height")
    stain_gain: float = Setting(0.22, ge=0, description="of the logarithm of each dye's amount")
    stain_mix: float = Setting(0.06, ge=0, description="of the cross-talk between the channels' optical densities")
    saturation: float = Setting(0.22, ge=0)
    depth: float = Setting(0.2, ge=0, description="of the logarithm of all densities: gamma and contrast")
    light_change: Fraction = Setting(0.75, description="share of fields under another lamp or white balance")
    light_min: float = Setting(0.5, gt=0, le=1, description="darkest empty slide, 1 = white")
    tint: float = Setting(0.09, ge=0, description="of each channel's density under another lamp")
    vignetting: float = Setting(0.35, ge=0, lt=1, description="largest loss of light in the corners")
    blur_um: float = Setting(0.3, ge=0, description="largest standard deviation of the blur")
    blur_share: Fraction = 0.45
    motion_um: float = Setting(0.9, ge=0, description="longest motion blur")
    motion_share: Fraction = 0.06
    sharpen: float = Setting(1.2, ge=0, description="largest weight of an unsharp mask")
    sharpen_share: Fraction = 0.2
    noise: float = Setting(9.0, ge=0, description="largest standard deviation in grey levels")
    noise_share: Fraction = 0.6
    jpeg_share: Fraction = 0.3
    jpeg_quality_min: int = Setting(35, ge=5, le=100)


@cache
def _noise_tiles(side_px: int = 1024) -> tuple[Image, ...]:
    """Noise around 128 with a standard deviation of 32, drawn once: a draw per field would cost more than all the rest.

    On first use, not on import: OpenCV's threads would be there before a process that is forked later, and hang it.
    """
    rng = np.random.default_rng(0x5EED)
    fine = rng.standard_normal((side_px, side_px, 3), np.float32)
    coarse = cv2.GaussianBlur(fine[::-1], (0, 0), 1.2)
    grey = np.repeat(fine[..., :1], 3, axis=2) * 0.85 + fine[:, ::-1] * 0.5
    return tuple((128 + 32 * t / t.std()).clip(0, 255).astype(np.uint8) for t in (fine, coarse, grey))


def augment(field: Field, rng: np.random.Generator, settings: AugmentSettings, um_per_px: float = 0.13) -> Field:
    """A field as another laboratory would see it; boxes and labels are kept. `um_per_px` is the given image's scale."""
    image = _stained(field.image, rng, settings)
    image = _vignetted(image, rng, settings)
    image = _blurred(image, rng, settings, um_per_px)
    if rng.random() < settings.noise_share:
        image = _noisy(image, rng, float(rng.uniform(0, settings.noise)))
    if rng.random() < settings.jpeg_share:
        quality = int(rng.integers(settings.jpeg_quality_min, 96))
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return Field(image, field.boxes, field.labels)


def _stained(image: Image, rng: np.random.Generator, settings: AugmentSettings) -> Image:
    """Dyes, saturation, contrast, lamp and white balance: one affine map of optical densities around the empty slide's."""
    empty = DENSITY[np.percentile(image[::8, ::8].reshape(-1, 3), 75, axis=0).astype(int)].astype(np.float64)
    gains = np.exp(rng.normal(0, settings.stain_gain, 3))
    change = np.linalg.inv(STAINS) @ np.diag(gains) @ STAINS
    change += rng.normal(0, settings.stain_mix, (3, 3))
    grey = np.full((3, 3), 1 / 3)
    change = change @ (grey + (np.eye(3) - grey) * np.exp(rng.normal(0, settings.saturation)))
    change = change.T * np.exp(rng.normal(0, settings.depth))
    wanted = empty
    if rng.random() < settings.light_change:
        lamp = -np.log(rng.uniform(settings.light_min, 1.0)) + rng.normal(0, settings.tint, 3)
        wanted = empty + (lamp.clip(0.0) - empty) * rng.uniform(0.3, 1.0)
    affine = np.hstack([change, (wanted - change @ empty)[:, None]])
    density: Float32 = np.asarray(cv2.LUT(image, -DENSITY), np.float32)
    # Signs are carried along: exp of the negative density is the transmission.
    affine[:, 3] *= -1
    density = np.asarray(cv2.transform(density, affine), np.float32)
    return np.asarray(cv2.convertScaleAbs(cv2.exp(density), alpha=256.0, beta=-1.0), np.uint8)


def _vignetted(image: Image, rng: np.random.Generator, settings: AugmentSettings) -> Image:
    loss = float(rng.uniform(0, settings.vignetting)) * float(rng.random())
    if loss < 0.02:
        return image
    height, width = image.shape[:2]
    at = rng.uniform(0.3, 0.7, 2)
    x = (np.linspace(0, 1, 17) - at[0]) * 1.4
    y = (np.linspace(0, 1, 17) - at[1]) * 1.4
    coarse = (255 * (1 - loss * (x[None] ** 2 + y[:, None] ** 2))).clip(0, 255).astype(np.uint8)
    gain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.multiply(image, cv2.merge([gain, gain, gain]), scale=1 / 255), np.uint8)


def _blurred(image: Image, rng: np.random.Generator, settings: AugmentSettings, um_per_px: float) -> Image:
    kind = float(rng.random())
    if kind < settings.blur_share:
        sigma = max(0.05, float(rng.uniform(0, settings.blur_um)) / um_per_px)
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    kind -= settings.blur_share
    if kind < settings.sharpen_share:
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 1.6)))
        weight = float(rng.uniform(0, settings.sharpen))
        return np.asarray(cv2.addWeighted(image, 1 + weight, soft, -weight, 0), np.uint8)
    kind -= settings.sharpen_share
    if kind < settings.motion_share:
        length = max(2, round(float(rng.uniform(0, settings.motion_um)) / um_per_px))
        kernel = np.zeros((length, length), np.float32)
        angle = float(rng.uniform(0, np.pi))
        reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
        ends = [tuple(((length - 1) / 2 + sign * reach).round().astype(int).tolist()) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
    return image


def _noisy(image: Image, rng: np.random.Generator, deviation: float) -> Image:
    tiles = _noise_tiles()
    tile = tiles[int(rng.integers(len(tiles)))]
    height, width = image.shape[:2]
    repeats = (-(-height // tile.shape[0]), -(-width // tile.shape[1]))
    if repeats != (1, 1):
        tile = np.tile(tile, (*repeats, 1))
    top, left = int(rng.integers(tile.shape[0] - height + 1)), int(rng.integers(tile.shape[1] - width + 1))
    noise = tile[top : top + height, left : left + width]
    gain = deviation / 32.0
    return np.asarray(cv2.addWeighted(image, 1.0, noise, gain, -128.0 * gain), np.uint8)
