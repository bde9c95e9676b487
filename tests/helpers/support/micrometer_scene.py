"""Drawn micrometer images as microscopes deliver them: ticks 1:5:10, dirt, light, blur, noise and what else spoils a scale."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from support.micrometer_company import barcode, crossed, numerals, red_cells, second_scale

from edge.contracts.detections import Image

Plane = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """Lines `spacing_px` apart whose length is `ticks_px` for ordinary, fifth and tenth ones; `lines` 0 is an empty field."""

    spacing_px: float = 40.0
    duty: float = 0.2
    ticks_px: tuple[float, float, float] = (120.0, 170.0, 230.0)
    rotation_deg: float = 2.0
    top_px: float = -120.0
    """where the ticks begin, from the middle of the field, along the lines"""
    offset_px: float = 5.3
    lines: int = 400
    base_line: bool = False
    contrast: float = 0.7
    is_inverted: bool = False
    blur_px: float = 1.0
    noise: float = 3.0
    light: float = 0.0
    """from one side to the other, of the mean"""
    vignette: float = 0.0
    dust: int = 0
    scratches: int = 0
    flicker: float = 0.0
    flicker_px: float = 45.0
    flicker_is_square: bool = False
    ghost: float = 0.0
    field_stop: bool = False
    jpeg: int = 0
    width_px: int = 800
    height_px: int = 600
    thin: float = 1.0
    """width of the ordinary lines, of that of each fifth"""
    is_centred: bool = False
    """all ticks have their middle, not their beginning, on one line"""
    numerals_px: float = 0.0
    """height of the figures above each tenth line"""
    crossed_px: float = 0.0
    """a second set of lines at right angles, as far apart"""
    reticle_px: float = 0.0
    """an eyepiece's own scale over it, its lines as far apart"""
    reticle_deg: float = 0.0
    cells_px: float = 0.0
    """diameter of red cells all over the field"""
    barcode: bool = False
    motion_px: float = 0.0
    """by which the stage moved during the exposure, to the right"""


def draw_scene(what: Scene, seed: int = 0) -> Image:
    """The image, uint8 BGR; line edges are area-weighted to a fraction of a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : what.height_px, 0 : what.width_px].astype(np.float64)
    x -= (what.width_px - 1) / 2
    y -= (what.height_px - 1) / 2
    ink = _lines(what, x, y, 0.0)
    if what.ghost:
        ink = np.maximum(ink, what.ghost * _lines(what, x, y, what.spacing_px / 2))
    ink = _with_company(what, ink, rng)
    glass = 60.0 if what.is_inverted else 205.0
    image = glass * (1 + (2.2 if what.is_inverted else -1.0) * what.contrast * ink)
    image = _with_dirt(what, image, rng)
    if what.blur_px:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), what.blur_px), np.float64)
    if what.motion_px:
        taps = np.full((1, max(2, round(what.motion_px))), 1 / max(2, round(what.motion_px)))
        image = np.asarray(cv2.filter2D(image, -1, taps), np.float64)
    image *= 1 + what.light * x / what.width_px
    image *= 1 - what.vignette * (x**2 + y**2) / (what.width_px**2 / 4 + what.height_px**2 / 4)
    if what.flicker:
        wave = np.sin(2 * np.pi * y / what.flicker_px)
        image *= 1 + what.flicker * (np.clip(4 * wave, -1, 1) if what.flicker_is_square else wave)
    if what.field_stop:
        image[np.hypot(x, y) > 0.49 * what.height_px] = 8.0
    image += rng.normal(0, what.noise, image.shape)
    grey = np.clip(np.round(image), 0, 255).astype(np.uint8)
    if what.jpeg:
        grey = cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, what.jpeg])[1], cv2.IMREAD_GRAYSCALE).astype(
            np.uint8
        )
    return np.ascontiguousarray(np.repeat(grey[:, :, None], 3, axis=2))


def _lines(what: Scene, x: Plane, y: Plane, shift_px: float) -> Plane:
    turn = np.radians(what.rotation_deg)
    across = x * np.cos(turn) + y * np.sin(turn) - what.offset_px - shift_px
    along = -x * np.sin(turn) + y * np.cos(turn) - what.top_px
    number = np.round(across / what.spacing_px)
    length = np.where(number % 10 == 0, what.ticks_px[2], np.where(number % 5 == 0, what.ticks_px[1], what.ticks_px[0]))
    if what.is_centred:
        along = along + length / 2
    inside = np.clip(0.5 + along, 0, 1) * np.clip(0.5 + length - along, 0, 1)
    half = what.duty * what.spacing_px / 2 * np.where(number % 5 == 0, 1.0, what.thin)
    ink = np.clip(0.5 + half - np.abs(across - number * what.spacing_px), 0, 1) * np.minimum(1.0, 2 * half) * inside
    ink[np.abs(number) > what.lines / 2] = 0
    if what.base_line and what.lines:
        ink = np.maximum(ink, np.clip(0.5 + half - np.abs(along), 0, 1) * (np.abs(number) <= what.lines / 2))
    return ink if what.lines else np.zeros_like(ink)


def _with_company(what: Scene, ink: Plane, rng: np.random.Generator) -> Plane:
    """The scale's own figures, and what else may be in the picture."""
    size = (what.width_px, what.height_px)
    if what.numerals_px and what.lines:
        at = what.top_px - (what.ticks_px[2] / 2 if what.is_centred else 0)
        origin = (what.offset_px, at - 0.4 * what.numerals_px)
        ink = np.maximum(ink, numerals(size, 10 * what.spacing_px, what.rotation_deg, origin, what.numerals_px, what.lines))
    if what.crossed_px:
        ink = np.maximum(ink, crossed(size, what.crossed_px, what.duty, what.rotation_deg + 90))
    if what.reticle_px:
        ink = np.maximum(ink, second_scale(size, what.reticle_px, what.reticle_deg, rng))
    if what.barcode:
        ink = np.maximum(ink, barcode(size, what.rotation_deg, rng))
    if what.cells_px:
        ink = np.maximum(ink, red_cells(size, what.cells_px, rng))
    return ink


def _with_dirt(what: Scene, image: Plane, rng: np.random.Generator) -> Plane:
    shade = np.ones_like(image)
    for _ in range(what.dust):
        at = (int(rng.integers(what.width_px)), int(rng.integers(what.height_px)))
        cv2.circle(shade, at, int(rng.integers(2, 15)), float(rng.uniform(0.15, 0.8)), -1, cv2.LINE_AA)
    for _ in range(what.scratches):
        ends = rng.integers(-50, max(what.width_px, what.height_px), 4)
        cv2.line(shade, (int(ends[0]), int(ends[1])), (int(ends[2]), int(ends[3])), 0.4, int(rng.integers(1, 4)), cv2.LINE_AA)
    return image * cv2.GaussianBlur(shade, (0, 0), 1.0)
