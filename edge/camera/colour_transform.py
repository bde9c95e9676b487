"""From an instrument's colours to those that a model knows: one table a channel, fixed for the instrument and its stain."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.colours import COLOUR_TRANSFORM, Colours, ReferenceColours
from edge.contracts.detections import Image

Floats = NDArray[np.float64]

MOST_STRETCH = 1.2
"""Chosen here, and on few laboratories: a cautious value, because a contrast that is stretched far shows noise as structure.
What it gives on a laboratory that the bundle never saw is in docs/results.md."""

LEAST_DEPTH = 0.03
"""Optical density of red cells that can still be told from noise, by channel."""


@dataclass(frozen=True, slots=True)
class ColourTable:
    """uint8 [256, 3] (BGR); `name` is the way it was found, and the hash of its values."""

    table: Image
    name: str


def gains_table(gains: Floats) -> Image:
    """uint8 [256, 3]: every channel times its gain."""
    return np.asarray(np.rint(np.arange(256)[:, None] * gains).clip(0, 255), np.uint8)


def balance(white: tuple[float, float, float]) -> ColourTable:
    """White balance: a blank field becomes grey, as bright as its middle channel, and no brighter than a pixel can be."""
    levels = np.maximum(np.asarray(white, np.float64), 1.0)
    gains = np.minimum(float(np.median(levels)) / levels, 250 / levels)
    return _named(gains_table(gains), "white-1")


def colour_table(own: Colours, reference: ReferenceColours) -> ColourTable:
    """Empty slide and red cells to where the training sources have them in the mean: a line in optical density by channel.

    The contrast of red cells is changed by no more than `MOST_STRETCH`: what is stretched further is noise, and false cells.
    """
    sources = [source.colours for source in reference.sources.values()]
    empty = np.mean([_density(source.empty) for source in sources], axis=0)
    depth = np.mean([_density(source.red_cells) - _density(source.empty) for source in sources], axis=0)
    own_empty = _density(own.empty)
    own_depth = np.maximum(_density(own.red_cells) - own_empty, LEAST_DEPTH)
    stretch = (depth / own_depth).clip(1 / MOST_STRETCH, MOST_STRETCH)
    levels = np.repeat(np.arange(256.0)[:, None], 3, axis=1)
    moved = 256 * np.exp(-((_density(levels) - own_empty) * stretch + empty)) - 1
    return _named(np.asarray(np.rint(moved).clip(0, 255), np.uint8), COLOUR_TRANSFORM)


def _density(levels: object) -> Floats:
    """Optical density (Lambert-Beer, natural logarithm) of grey levels: dyes add up in it."""
    return np.asarray(-np.log((np.asarray(levels, np.float64) + 1) / 256), np.float64)


def _named(table: Image, way: str) -> ColourTable:
    return ColourTable(table, f"{way}:{hashlib.sha256(table.tobytes()).hexdigest()[:16]}")
