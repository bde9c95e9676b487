"""A stream that stands still or goes round: the very same pixels again, which a sensor never gives."""

import zlib
from collections import deque

import numpy as np
from numpy.typing import NDArray

from edge.camera.industrial.camera_device import CameraLost
from edge.contracts.detections import Image

_STAND_INS = ("emulation", "fake", "simu", "viky")
"""In the model's name of cameras that are programs: they show what they were given, as often as they are asked."""


def is_stand_in(settings: dict[str, str | float]) -> bool:
    """Whether a camera says that it is a program."""
    model = str(settings.get("model", "")).lower()
    return any(word in model for word in _STAND_INS)


_REMEMBERED = 64
"""Frames: a player or an encoder's buffer that goes round may hold several."""
_BANDS, _CLOCK_BANDS, _MIN_BANDS = 32, 4, 8
"""A picture is compared in bands of rows. In so many something may change that is no field (a clock that is written into it),
when so many of the others show something and are the same."""


class FrozenStream:
    """Counts frames that repeat one before to the last bit. One constant is no sign: an overexposed blank is that.

    `limit` such frames in a row are the end, 0: never looked at. Checksums of 1.3 MB take 0.3 ms.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._seen: deque[tuple[tuple[int, ...], NDArray[np.uint32]]] = deque(maxlen=_REMEMBERED)
        self._repeats = 0

    def begin(self) -> None:
        """The next frame is a first one."""
        self._seen.clear()
        self._repeats = 0

    def look(self, pixels: Image) -> str:
        """Why this frame must not be counted; empty for one that is new. Raises `CameraLost` for one too many in a row."""
        if not self._limit:
            return ""
        bands = _bands(pixels)
        sums = np.array([zlib.crc32(band.data) for band in bands], np.uint32)
        again = any(shape == pixels.shape and _is_same(sums == seen, bands) for shape, seen in self._seen)
        if not again:
            self._seen.append((pixels.shape, sums))
            self._repeats = 0
            return ""
        self._repeats += 1
        if self._repeats >= self._limit:
            raise CameraLost(
                f"{self._name} is frozen: it gave the very same pixels {self._repeats + 1} times in a row; check camera and "
                "its encoder. Where a picture may stand still to the last bit, say frozen_frames=0."
            )
        return "its pixels are exactly those of a frame before it, as of a stream that is frozen"

    @property
    def has_just_begun(self) -> bool:
        """Whether the last frame was the first of its kind, so that it is said at once and once."""
        return self._repeats == 1


def _bands(pixels: Image) -> list[Image]:
    return np.array_split(np.ascontiguousarray(pixels), min(_BANDS, len(pixels)))


def _is_same(equal: NDArray[np.bool_], bands: list[Image]) -> bool:
    """Whether what is equal is the same picture: all of it, or all but a clock."""
    n_other = len(equal) - int(np.count_nonzero(equal))
    if n_other > (_CLOCK_BANDS if len(bands) == _BANDS else 0):
        return False
    shown = sum(not _is_constant(band) for band, is_equal in zip(bands, equal, strict=True) if is_equal)
    if not n_other:
        return shown > 0 or len({bytes(band[0, 0].tobytes()) for band in bands}) > 1
    return shown >= _MIN_BANDS


def _is_constant(pixels: Image) -> bool:
    return bool((pixels == pixels[0, 0]).all())
