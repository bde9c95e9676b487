"""Drawn micrometer images as microscopes deliver them: ticks 1:5:10, dirt, light, blur, noise and what else spoils a scale."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

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


def draw_scene(what: Scene, seed: int = 0) -> Image:
    """The image, uint8 BGR; line edges are area-weighted to a fraction of a pixel."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : what.height_px, 0 : what.width_px].astype(np.float64)
    x -= (what.width_px - 1) / 2
    y -= (what.height_px - 1) / 2
    ink = _lines(what, x, y, 0.0)
    if what.ghost:
        ink = np.maximum(ink, what.ghost * _lines(what, x, y, what.spacing_px / 2))
    glass = 60.0 if what.is_inverted else 205.0
    image = glass * (1 + (2.2 if what.is_inverted else -1.0) * what.contrast * ink)
    image = _with_dirt(what, image, rng)
    if what.blur_px:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), what.blur_px), np.float64)
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
    inside = np.clip(0.5 + along, 0, 1) * np.clip(0.5 + length - along, 0, 1)
    half = what.duty * what.spacing_px / 2
    ink = np.clip(0.5 + half - np.abs(across - number * what.spacing_px), 0, 1) * min(1.0, 2 * half) * inside
    ink[np.abs(number) > what.lines / 2] = 0
    if what.base_line and what.lines:
        ink = np.maximum(ink, np.clip(0.5 + half - np.abs(along), 0, 1) * (np.abs(number) <= what.lines / 2))
    return ink if what.lines else np.zeros_like(ink)


def _with_dirt(what: Scene, image: Plane, rng: np.random.Generator) -> Plane:
    shade = np.ones_like(image)
    for _ in range(what.dust):
        at = (int(rng.integers(what.width_px)), int(rng.integers(what.height_px)))
        cv2.circle(shade, at, int(rng.integers(2, 15)), float(rng.uniform(0.15, 0.8)), -1, cv2.LINE_AA)
    for _ in range(what.scratches):
        ends = rng.integers(-50, max(what.width_px, what.height_px), 4)
        cv2.line(shade, (int(ends[0]), int(ends[1])), (int(ends[2]), int(ends[3])), 0.4, int(rng.integers(1, 4)), cv2.LINE_AA)
    return image * cv2.GaussianBlur(shade, (0, 0), 1.0)


def random_scene(seed: int) -> Scene:
    """One of many scenes; most have a scale, and most scales have something against them."""
    rng = np.random.default_rng([seed, 71])

    def maybe(share: float, value: float) -> float:
        return value if rng.random() < share else 0.0

    unit = float(np.exp(rng.uniform(np.log(8), np.log(130))))
    short = float(rng.choice([8, 20, 40, 100, 250, 2000]))
    ratios = (1.0, float(rng.choice([1, 1.4, 3])), float(rng.choice([1, 1.9, 6])))
    return Scene(
        spacing_px=unit,
        duty=float(rng.uniform(0.08, 0.6)),
        ticks_px=(short, short * ratios[1], short * ratios[2]),
        rotation_deg=float(rng.choice([0, 90, rng.uniform(-5, 5), rng.uniform(-90, 90)])),
        top_px=-1000 if short == 2000 else float(rng.uniform(-280, 100)),
        offset_px=float(rng.uniform(0, unit)),
        lines=int(rng.choice([400, 400, 400, 30, 7, 0])),
        base_line=bool(rng.random() < 0.3),
        contrast=float(rng.choice([0.7, 0.7, 0.3, 0.08])),
        is_inverted=bool(rng.random() < 0.25),
        blur_px=float(rng.choice([0.5, 1, 2, 5])),
        noise=float(rng.choice([1, 3, 8])),
        light=maybe(0.3, float(rng.uniform(0.2, 1.0))),
        vignette=maybe(0.3, float(rng.uniform(0.2, 0.7))),
        dust=int(maybe(0.4, float(rng.integers(1, 40)))),
        scratches=int(maybe(0.3, float(rng.integers(1, 4)))),
        flicker=maybe(0.25, float(rng.uniform(0.01, 0.3))),
        flicker_px=float(rng.uniform(12, 150)),
        flicker_is_square=bool(rng.random() < 0.3),
        ghost=maybe(0.1, float(rng.uniform(0.2, 0.6))),
        field_stop=bool(rng.random() < 0.15),
        jpeg=int(maybe(0.25, float(rng.integers(50, 95)))),
    )
