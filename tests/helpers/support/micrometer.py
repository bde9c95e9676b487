"""Drawn images of a stage micrometer, whose um/px is known exactly."""

from dataclasses import dataclass

import cv2
import numpy as np

from edge.contracts.detections import Image


@dataclass(frozen=True)
class Micrometer:
    """What the camera sees: lines `spacing_px` apart, each `line_px` wide, `tick_px` long; every fifth `major_px` long."""

    spacing_px: float = 76.92
    line_px: float = 12.0
    tick_px: float = 260.0
    major_px: float = 260.0
    rotation_deg: float = 0.0
    noise: float = 3.0
    blur_px: float = 1.0
    gradient: float = 0.0
    offset_px: float = 7.3
    bright_lines: bool = False
    base_line: bool = False
    lines: int = 400
    hidden: tuple[int, ...] = ()
    width_px: int = 732
    height_px: int = 574


def draw(what: Micrometer, seed: int = 0) -> Image:
    """The image, uint8 BGR. Line edges are area-weighted to a fraction of a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : what.height_px, 0 : what.width_px].astype(np.float64)
    x -= (what.width_px - 1) / 2
    y -= (what.height_px - 1) / 2
    turn = np.radians(what.rotation_deg)
    across = x * np.cos(turn) + y * np.sin(turn) - what.offset_px
    along = -x * np.sin(turn) + y * np.cos(turn)
    number = np.round(across / what.spacing_px)
    half_length = np.where(number % 5 == 0, what.major_px, what.tick_px) / 2
    # Ticks stand on a common base, as on a ruler.
    inside = np.clip(0.5 + what.tick_px / 2 - along, 0, 1) * np.clip(0.5 + along - what.tick_px / 2 + 2 * half_length, 0, 1)
    ink = np.clip(0.5 + what.line_px / 2 - np.abs(across - number * what.spacing_px), 0, 1) * inside
    ink[np.isin(number, what.hidden) | (np.abs(number) > what.lines / 2)] = 0
    if what.base_line:
        ink = np.maximum(ink, np.clip(0.5 + what.line_px / 2 - np.abs(along - what.tick_px / 2), 0, 1))
    paper, dark = (60.0, -140.0) if what.bright_lines else (200.0, 140.0)
    image = paper - dark * ink
    if what.blur_px:
        image = cv2.GaussianBlur(image, (0, 0), what.blur_px)
    image *= 1 + what.gradient * x / what.width_px
    image += rng.normal(0, what.noise, image.shape)
    grey = np.clip(np.round(image), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))
