"""Drawn fields of single red cells whose diameter is known, under stains and cameras of many kinds."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.contracts.detections import Image

Bgr = tuple[float, float, float]


@dataclass(frozen=True)
class Smear:
    """Red cells `diameter_px` across with a pale middle; `apart` 0 lets them lie over each other."""

    diameter_px: float = 54.6
    cells: int = 40
    apart: float = 1.25
    slide: Bgr = (232, 228, 230)
    cell: Bgr = (165, 150, 205)
    middle: float = 0.5
    """how much of the cell's colour is left in its middle"""
    vignette: float = 0.0
    noise: float = 2.0
    blur_px: float = 1.0
    platelets: int = 6
    leukocytes: int = 0
    width_px: int = 732
    height_px: int = 574


def draw_smear(what: Smear, seed: int = 0) -> Image:
    """One field, uint8 BGR."""
    rng = np.random.default_rng([seed, 3])
    image = np.full((what.height_px, what.width_px, 3), what.slide, np.float32)
    slide, cell = np.array(what.slide), np.array(what.cell)
    middle = tuple(float(v) for v in slide + what.middle * (cell - slide))
    placed: list[tuple[float, float]] = []
    for _ in range(what.cells * 6):
        at = (float(rng.uniform(0, what.width_px)), float(rng.uniform(0, what.height_px)))
        if len(placed) == what.cells or any(np.hypot(at[0] - x, at[1] - y) < what.apart * what.diameter_px for x, y in placed):
            continue
        placed.append(at)
        radius = what.diameter_px / 2 * float(rng.normal(1, 0.06))
        _disc(image, at, radius, what.cell)
        _disc(image, at, 0.35 * radius, middle)
    for _ in range(what.platelets):
        _disc(image, tuple(rng.uniform(0, what.height_px, 2)), 0.15 * what.diameter_px, (150, 90, 140))
    for _ in range(what.leukocytes):
        at = tuple(rng.uniform(0.2, 0.8, 2) * (what.width_px, what.height_px))
        _disc(image, at, 0.85 * what.diameter_px, (200, 160, 190))
        _disc(image, at, 0.6 * what.diameter_px, (120, 40, 90))
    if what.blur_px:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), what.blur_px), np.float32)
    y, x = np.mgrid[-1 : 1 : what.height_px * 1j, -1 : 1 : what.width_px * 1j]
    image *= (1 - what.vignette * (x**2 + y**2) / 2)[:, :, None].astype(np.float32)
    return np.clip(image + rng.normal(0, what.noise, image.shape), 0, 255).astype(np.uint8)


def _disc(image: np.ndarray, at: tuple[float, ...], radius: float, colour: Bgr) -> None:  # type: ignore[type-arg]
    centre = (round(at[0] * 16), round(at[1] * 16))
    cv2.circle(image, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
