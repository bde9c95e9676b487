"""Crops of cells that are none of the taught ones, made of photographs of those: what a network has to say "unknown" to.

A network that saw ten types of cells calls an eleventh one of them. Nobody can show it all that there is, but what it knows can
be altered until it is none of it any more (outlier exposure, Hendrycks, Mazeika and Dietterich 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Float32, Image

SOFT_PX = 1.5
"""Width of a seam: a sharp one would be what the network learns."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A cell as a crop shows it: its longer side in px of the crop, and the crop at any enlargement, turned at random."""

    label: int
    side_px: float
    crop: Callable[[float], Image]


def strange_crop(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """A crop uint8 [S, S, 3] of something that is neither `cell` nor `other`, which are of two types."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    return kind(rng, cell, other)


def grown(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """The cell far larger than any of its type, among red cells of the usual size; every second time with smooth chromatin."""
    del other
    factor = float(rng.uniform(1.45, 2.1))
    large, around = cell.crop(factor), cell.crop(1.0)
    if rng.random() < 0.5:
        large = np.asarray(cv2.medianBlur(large, int(rng.choice((5, 7)))), np.uint8)
    return _joined(large, around, _disc(len(large), 0.52 * cell.side_px * factor))


def other_nucleus(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """The cytoplasm of one type around the middle of another."""
    middle = other.crop(1.0)
    return _joined(middle, cell.crop(1.0), _disc(len(middle), float(rng.uniform(0.28, 0.42)) * cell.side_px))


def halves(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """One half of each."""
    first = cell.crop(1.0)
    at = np.arange(len(first)) - (len(first) - 1) / 2
    angle, beside = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(-0.15, 0.15)) * cell.side_px
    away = at[None] * np.cos(angle) + at[:, None] * np.sin(angle) - beside
    return _joined(first, other.crop(1.0), _soft(away))


def blended(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """Both at the same place."""
    share = float(rng.uniform(0.35, 0.65))
    return np.asarray(cv2.addWeighted(cell.crop(1.0), share, other.crop(1.0), 1 - share, 0), np.uint8)


def smeared(rng: np.random.Generator, cell: Seen, other: Seen) -> Image:
    """Drawn out and torn, as the smear does to fragile cells."""
    del other
    crop = cell.crop(float(rng.uniform(1.0, 1.6)))
    side = len(crop)
    reach = float(rng.uniform(5, 11))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=2).astype(np.float32)
    coarse = rng.normal(0, reach, (5, 5, 2)).astype(np.float32)
    places = places + np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
    torn = cv2.remap(crop, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    length = int(rng.integers(3, 15))
    kernel = np.zeros((length, length), np.float32)
    angle = float(rng.uniform(0, np.pi))
    middle, way = (length - 1) / 2, np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = [tuple((middle + sign * way).round().astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return np.asarray(cv2.filter2D(torn, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT), np.uint8)


KINDS: tuple[Callable[[np.random.Generator, Seen, Seen], Image], ...] = (grown, other_nucleus, halves, blended, smeared)


def _disc(side: int, radius_px: float) -> Float32:
    """[side, side]: 1 within a circle around the middle."""
    at = np.arange(side) - (side - 1) / 2
    return _soft(radius_px - np.hypot(at[None], at[:, None]))


def _soft(inside_px: NDArray[np.float64]) -> Float32:
    return np.asarray(1 / (1 + np.exp(-inside_px.clip(-40, 40) / SOFT_PX)), np.float32)


def _joined(first: Image, second: Image, share: Float32) -> Image:
    mixed = second + (first.astype(np.float32) - second) * share[..., None]
    return np.asarray(mixed.round(), np.uint8)
