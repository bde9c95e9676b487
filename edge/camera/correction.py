"""What is done to pixels on their way into a slot: even light, and colours a model knows. On the host, for every engine.

Where a plain copy would have been: a product with a map of gains, then a table by channel. The table is applied plane by plane,
which gives the same bytes in half the time: OpenCV's lookup of three channels at once is twice as slow per byte as that of one,
and taking planes apart and together costs a tenth of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.detections import Image

UNIT = 128
"""A gain of 1. Products of bytes are far cheaper than floats, and a step of the map is below half a per cent of the light."""

BRIGHTEST = 255 / UNIT
"""The largest gain there is: light that falls below half of its brightest part is not evened out further."""

_KEPT = 8
"""Maps are kept for so many sizes of images."""


def light_at(shade: Sequence[Sequence[Sequence[float]]], width_px: int, height_px: int) -> NDArray[np.float32]:
    """[height, width, 3]: the light at every pixel's centre, of grids whose outer points lie on the image's borders; straight
    lines between points."""
    grid = np.asarray(shade, np.float64)
    across, down = _between(grid.shape[2], width_px), _between(grid.shape[1], height_px)
    return np.ascontiguousarray(np.moveaxis(down @ grid @ across.T, 0, -1), np.float32)


def _between(points: int, pixels: int) -> NDArray[np.float64]:
    """[pixels, points]: how much of each point's value a pixel takes."""
    at = (np.arange(pixels) + 0.5) / pixels * (points - 1)
    return np.clip(1.0 - np.abs(at[:, None] - np.arange(points)), 0.0, None)


@dataclass(frozen=True)
class Correction:
    """`shade` as in a profile's light, or None; `table` uint8 [256, 3] (BGR), or None. For one thread.

    `colour_name` and `light_sha256` are what a run's provenance says of them.
    """

    shade: tuple[tuple[tuple[float, ...], ...], ...] | None = None
    table: Image | None = None
    colour_name: str | None = None
    light_sha256: str | None = None
    _gains: dict[tuple[int, int], Image] = field(default_factory=dict, repr=False, compare=False)
    _planes: dict[tuple[int, int], list[Image]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether both light and colours are corrected."""
        return self.shade is not None and self.table is not None

    def gains(self, width_px: int, height_px: int) -> Image | None:
        """The map for a whole field resampled to that size, uint8 [height, width, 3] in units of 1/128; None without light."""
        if self.shade is None:
            return None
        size = width_px, height_px
        if size not in self._gains:
            if len(self._gains) >= _KEPT:
                self._gains.clear()
            gain = UNIT / np.maximum(light_at(self.shade, *size), 1 / BRIGHTEST)
            self._gains[size] = np.asarray(np.rint(gain).clip(0, 255), np.uint8)
        return self._gains[size]

    def apply(self, pixels: Image, into: Image, gains: Image | None) -> None:
        """Write `pixels` [H, W, 3] corrected into `into`, which may be `pixels`; `gains` is their part of the map."""
        if gains is not None:
            cv2.multiply(pixels, gains, dst=into, scale=1 / UNIT)
            pixels = into
        if self.table is not None:
            self._look_up(pixels, into, self.table)
        elif gains is None:
            into[...] = pixels

    def _look_up(self, pixels: Image, into: Image, table: Image) -> None:
        size = pixels.shape[0], pixels.shape[1]
        if size not in self._planes:
            if len(self._planes) >= _KEPT:
                self._planes.clear()
            self._planes[size] = [np.empty(size, np.uint8) for _ in range(3)]
        planes = self._planes[size]
        cv2.split(pixels, planes)
        for channel, plane in enumerate(planes):
            cv2.LUT(plane, np.ascontiguousarray(table[:, channel]), dst=plane)
        cv2.merge(planes, dst=into)
