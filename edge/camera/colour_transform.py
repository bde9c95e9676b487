"""From an instrument's colours to those that a model knows: one table a channel, fixed for the instrument and its stain."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contracts.colours import COLOUR_TRANSFORM, Colours, ReferenceColours
from edge.contracts.detections import Image

Floats = NDArray[np.float64]


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
    """The empty slide to the mean of the training sources', by one gain a channel."""
    wanted = np.mean([np.asarray(source.colours.empty) for source in reference.sources.values()], axis=0)
    return _named(gains_table(wanted / np.maximum(np.asarray(own.empty), 1.0)), COLOUR_TRANSFORM)


def _named(table: Image, way: str) -> ColourTable:
    return ColourTable(table, f"{way}:{hashlib.sha256(table.tobytes()).hexdigest()[:16]}")
