"""What cells are painted from: outlines and nuclei as soft masks, and noise for chromatin and cytoplasm.

Lengths are pixels; a mask is float32 [h, w], 0 outside to 1 inside.
"""

import math
from typing import Literal

import cv2
import numpy as np

from edge.contracts.detections import Float32

NucleusKind = Literal["round", "oval", "kidney", "folded", "band", "segmented", "bilobed"]

_TILE_PX = 512
GRAIN_SIGMA_PX = {"fine": 1.0, "medium": 1.7, "coarse": 2.6, "cloud": 7.0}
"""Grain of the noise at 0.13 um/px."""

_SHIFT = 4  # cv2 draws with 1/16 px resolution


def polar_radius(rng: np.random.Generator, irregularity: float, elongation: float, harmonics: int = 7) -> Float32:
    """Relative radius over 256 angles: an ellipse (`elongation` = long over short axis) with harmonics that fall as k**-1.3."""
    angle = np.linspace(0.0, 2.0 * math.pi, 256, endpoint=False)
    turn = rng.uniform(0.0, math.pi)
    stretch = math.sqrt(elongation)
    radius = 1.0 / np.sqrt((np.cos(angle - turn) / stretch) ** 2 + (np.sin(angle - turn) * stretch) ** 2)
    for order in range(2, harmonics + 1):
        size = irregularity * rng.normal() / order**1.3
        radius = radius + size * np.cos(order * (angle - rng.uniform(0.0, 2.0 * math.pi)))
    return np.asarray(radius, np.float32)


def relative_distance(size_px: int, radius_px: float, outline: Float32, centre: tuple[float, float] = (0.0, 0.0)) -> Float32:
    """Distance from the centre over the outline's radius in that direction: 1 on the outline. float32 [size, size].

    `centre` is relative to the middle of the canvas.
    """
    along = np.arange(size_px, dtype=np.float32) - np.float32((size_px - 1) / 2.0)
    x = np.broadcast_to(along - np.float32(centre[0]), (size_px, size_px)).copy()
    y = np.broadcast_to(along[:, None] - np.float32(centre[1]), (size_px, size_px)).copy()
    away, angle = cv2.cartToPolar(x, y)
    sector = (angle * np.float32(128.0 / math.pi)).astype(np.int32) & 255
    return np.asarray(away / np.take(outline * np.float32(radius_px), sector), np.float32)


def soft_step(value: Float32, edge: float, width: float) -> Float32:
    """1 below `edge`, 0 above, with a smooth ramp of `width` around it."""
    ramp = value * np.float32(-1.0 / width)
    ramp += np.float32(edge / width + 0.5)
    np.minimum(np.maximum(ramp, 0.0, out=ramp), 1.0, out=ramp)
    smooth = ramp * np.float32(-2.0)
    smooth += np.float32(3.0)
    smooth *= ramp
    smooth *= ramp
    return np.asarray(smooth, np.float32)


def _discs(size_px: int, centres: Float32, radii: Float32) -> Float32:
    canvas = np.zeros((size_px, size_px), np.uint8)
    middle = (size_px - 1) / 2.0
    for (x, y), radius in zip(centres, radii, strict=True):
        at = (round((middle + x) * 16), round((middle + y) * 16))
        cv2.circle(canvas, at, max(8, round(radius * 16)), 255, -1, cv2.LINE_AA, _SHIFT)
    return canvas.astype(np.float32) / 255.0


def _smooth(mask: Float32, sigma_px: float) -> Float32:
    # Blur and re-threshold: rounds the joints between discs as a membrane would.
    return soft_step(-cv2.GaussianBlur(mask, (0, 0), sigma_px).astype(np.float32), -0.5, 0.45)


def _arc(sweep: float, radius: float, count: int, wobble: Float32) -> Float32:
    angles = np.linspace(-sweep / 2, sweep / 2, count)
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radius * (1.0 + wobble[:, None])
    return np.asarray(points - points.mean(0), np.float32)


def _turned(points: Float32, angle: float) -> Float32:
    c, s = math.cos(angle), math.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]], np.float32), np.float32)


def nucleus_mask(rng: np.random.Generator, kind: NucleusKind, size_px: int, radius_px: float, offset_px: float) -> Float32:
    """A nucleus that would fill a disc of `radius_px`, shifted by `offset_px` in a random direction."""
    direction = rng.uniform(0.0, 2.0 * math.pi)
    shift = np.array([math.cos(direction), math.sin(direction)], np.float32) * offset_px
    if kind in ("round", "oval"):
        outline = polar_radius(rng, 0.05, rng.uniform(1.0, 1.1) if kind == "round" else rng.uniform(1.1, 1.35))
        return soft_step(
            relative_distance(size_px, radius_px, outline, (float(shift[0]), float(shift[1]))), 1.0, 2.2 / radius_px
        )
    draw = _curved if kind in ("kidney", "folded", "band") else _lobed
    return draw(rng, kind, size_px, radius_px, shift)


def _curved(rng: np.random.Generator, kind: NucleusKind, size_px: int, radius_px: float, shift: Float32) -> Float32:
    low, high, thick = {"kidney": (1.3, 2.2, 0.50), "folded": (1.6, 3.0, 0.50), "band": (2.7, 4.4, 0.30)}[kind]
    sweep = rng.uniform(low, high)
    thick *= rng.uniform(0.92, 1.12)
    count = 26
    wobble = rng.normal(0.0, 0.06, count).astype(np.float32)
    path = _arc(sweep, radius_px * (1.0 - thick), count, cv2.GaussianBlur(wobble[None], (0, 0), 3.0)[0])
    ends = np.linspace(-1.0, 1.0, count)
    swell = 1.0 + rng.uniform(-0.05, 0.16) * ends**2 + rng.uniform(-0.12, 0.12) * ends
    lumps = cv2.GaussianBlur(rng.normal(0.0, 0.30, (1, count)), (0, 0), 2.0)[0]
    radii = (radius_px * thick * swell * (1.0 + lumps)).astype(np.float32)
    if kind == "folded":
        knobs = rng.normal(0.0, 0.22, (7, 2)).astype(np.float32) * radius_px
        path = np.concatenate([path, path[rng.integers(0, count, 7)] + knobs])
        radii = np.concatenate([radii, (radius_px * rng.uniform(0.30, 0.46, 7)).astype(np.float32)])
    points = _turned(path, rng.uniform(0.0, 2.0 * math.pi)) + shift
    return _smooth(_discs(size_px, points, radii), max(1.2, 0.05 * radius_px))


def _lobed(rng: np.random.Generator, kind: NucleusKind, size_px: int, radius_px: float, shift: Float32) -> Float32:
    lobes = 2 if kind == "bilobed" else int(rng.choice([2, 3, 4, 5], p=[0.14, 0.46, 0.32, 0.08]))
    turn = rng.uniform(0.0, 2.0 * math.pi)
    lobe_radius = radius_px * {2: 0.52, 3: 0.44, 4: 0.385, 5: 0.33}[lobes]
    sweep = {2: 2.7, 3: 3.6, 4: 4.5, 5: 5.1}[lobes] * rng.uniform(0.8, 1.05)
    centres = _arc(sweep, radius_px - lobe_radius, lobes, rng.normal(0.0, 0.14, lobes).astype(np.float32))
    centres = _turned(centres, turn) + shift
    canvas = np.zeros((size_px, size_px), np.uint8)
    middle = (size_px - 1) / 2.0
    for index, (x, y) in enumerate(centres):
        along = centres[min(index + 1, lobes - 1)] - centres[max(index - 1, 0)]
        tilt = math.degrees(math.atan2(float(along[1]), float(along[0]))) + rng.normal(0.0, 25.0)
        size = lobe_radius * rng.uniform(0.84, 1.12)
        axes = (round(size * rng.uniform(1.0, 1.32) * 16), round(size * rng.uniform(0.78, 1.0) * 16))
        at = (round((middle + float(x)) * 16), round((middle + float(y)) * 16))
        cv2.ellipse(canvas, at, axes, tilt, 0, 360, 255, -1, cv2.LINE_AA, _SHIFT)
    mask = _smooth(canvas.astype(np.float32) / 255.0, max(1.2, 0.055 * radius_px))
    strand = np.zeros_like(canvas)
    path = np.rint((centres + middle) * 16).astype(np.int32)
    cv2.polylines(strand, [path], False, 255, max(2, round(radius_px * rng.uniform(0.05, 0.16))), cv2.LINE_AA, _SHIFT)
    return np.asarray(np.maximum(mask, cv2.GaussianBlur(strand, (0, 0), 0.7) / np.float32(255.0)), np.float32)


def spots(rng: np.random.Generator, where: Float32, count: int, radius_px: tuple[float, float]) -> Float32:
    """`count` anti-aliased discs with centres drawn where `where` > 0.6; float32 mask, nothing when there is no room."""
    canvas = np.zeros(where.shape, np.uint8)
    inside = np.flatnonzero(where > 0.6)
    if not len(inside):
        return canvas.astype(np.float32)
    rows, columns = np.divmod(rng.choice(inside, count), where.shape[1])
    at = np.rint((np.stack([columns, rows], 1) + rng.uniform(-0.5, 0.5, (count, 2))) * 16).astype(int).tolist()
    radii = np.maximum(np.rint(rng.uniform(radius_px[0], radius_px[1], count) * 16), 6).astype(int).tolist()
    for centre, radius in zip(at, radii, strict=True):
        cv2.circle(canvas, centre, radius, 255, -1, cv2.LINE_AA, _SHIFT)
    return np.asarray(canvas / np.float32(255.0), np.float32)


class Textures:
    """Tileable noise of unit variance at each grain, drawn once per seed and cut from."""

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


def wrapped_blur(tile: Float32, sigma_px: float) -> Float32:
    """Gaussian blur of a tile that continues itself on the other side."""
    pad = int(4 * sigma_px) + 1
    padded = np.pad(tile, ((pad, pad), (pad, pad)) + ((0, 0),) * (tile.ndim - 2), mode="wrap")
    return cv2.GaussianBlur(padded, (0, 0), sigma_px)[pad:-pad, pad:-pad].astype(np.float32, copy=False)
