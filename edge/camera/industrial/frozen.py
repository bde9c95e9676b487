"""A stream that stands still: the very same pixels frame after frame, which a sensor never gives."""

import zlib

import numpy as np

from edge.camera.industrial.camera_device import CameraLost
from edge.contracts.detections import Image

_STAND_INS = ("emulation", "fake", "simu", "viky")
"""In the model's name of cameras that are programs: they show what they were given, as often as they are asked."""


def is_stand_in(settings: dict[str, str | float]) -> bool:
    """Whether a camera says that it is a program."""
    model = str(settings.get("model", "")).lower()
    return any(word in model for word in _STAND_INS)


class FrozenStream:
    """Counts frames that repeat the one before to the last bit. One constant is no sign: an overexposed blank is that.

    `limit` such frames in a row are the end, 0: never looked at. A checksum of 1.3 MB takes 0.3 ms.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._last: tuple[int, tuple[int, ...]] | None = None
        self._repeats = 0

    def begin(self) -> None:
        """The next frame is a first one."""
        self._last, self._repeats = None, 0

    def look(self, pixels: Image) -> str:
        """Why this frame must not be counted; empty for one that is new. Raises `CameraLost` for one too many in a row."""
        if not self._limit:
            return ""
        seen = zlib.crc32(np.ascontiguousarray(pixels).data), pixels.shape
        again, self._last = seen == self._last, seen
        if not again or _is_constant(pixels):
            self._repeats = 0
            return ""
        self._repeats += 1
        if self._repeats >= self._limit:
            raise CameraLost(
                f"{self._name} is frozen: it gave the very same pixels {self._repeats + 1} times in a row; check camera and "
                "its encoder. Where a picture may stand still to the last bit, say frozen_frames=0."
            )
        return "its pixels are exactly those of the frame before it, as of a stream that is frozen"

    @property
    def has_just_begun(self) -> bool:
        """Whether the last frame was the first of its kind, so that it is said at once and once."""
        return self._repeats == 1


def _is_constant(pixels: Image) -> bool:
    return bool((pixels == pixels[0, 0]).all())
