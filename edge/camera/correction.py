"""What is done to pixels on their way into a slot: even light, and colours a model knows. On the host, for every engine.

Where a plain copy would have been: a product with a map of gains, then a table by channel. The table is applied plane by plane
and to two neighbouring pixels at once, by a table of all pairs: the same bytes in a third of the time that OpenCV's lookup of
three channels takes. Taking planes apart and together costs a tenth of that.
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


_Pairs = NDArray[np.uint16]


def _of_pairs(table: NDArray[np.uint8]) -> _Pairs:
    """[65536]: what `table` [256] makes of two neighbouring bytes, whichever of them this machine counts first."""
    both = np.arange(65536, dtype=np.uint16).view(np.uint8)
    return np.ascontiguousarray(table)[both].view(np.uint16)


@dataclass(frozen=True, slots=True)
class _Plane:
    """One channel, uint8 [height, width], and the same memory as pairs, uint16 [1, n]; a last odd byte has one beside it."""

    alone: NDArray[np.uint8]
    pairs: _Pairs

    @classmethod
    def of(cls, height_px: int, width_px: int) -> "_Plane":
        n = height_px * width_px
        memory = np.zeros(n + n % 2, np.uint8)
        return cls(memory[:n].reshape(height_px, width_px), memory.view(np.uint16).reshape(1, -1))


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
    _planes: dict[tuple[int, int], list[_Plane]] = field(default_factory=dict, repr=False, compare=False)
    _pairs: list[_Pairs] = field(default_factory=list, repr=False, compare=False)

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
        if not self._pairs:
            self._pairs.extend(_of_pairs(table[:, channel]) for channel in range(3))
        size = pixels.shape[0], pixels.shape[1]
        if size not in self._planes:
            if len(self._planes) >= _KEPT:
                self._planes.clear()
            self._planes[size] = [_Plane.of(*size) for _ in range(3)]
        planes = self._planes[size]
        alone = [plane.alone for plane in planes]
        cv2.split(pixels, alone)
        for plane, pairs in zip(planes, self._pairs, strict=True):
            cv2.LUT(plane.pairs, pairs, dst=plane.pairs)
        cv2.merge(alone, dst=into)
