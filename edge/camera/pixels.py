"""Pixel formats: everything behind a source is uint8 BGR."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import SourceNote
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError

GREY_NOTE = SourceNote("grey_converted", "grey images are converted to BGR with three equal channels.")
ALPHA_NOTE = SourceNote("alpha_dropped", "the alpha channel of images with four channels is dropped.")


def to_bgr(image: NDArray[Any], name: str = "the image") -> tuple[Image, SourceNote | None]:
    """Convert 8-bit grey [H, W] or [H, W, 1] and BGRA [H, W, 4] to C-contiguous uint8 BGR [H, W, 3]; BGR passes as it is.

    Returns the note to give once when something was converted. Raises `FrameError` for every other format: scaling 16 bits
    or floats to 8 would need a range nobody has stated.
    """
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    if image.dtype != np.uint8 or channels not in {1, 3, 4}:
        raise FrameError(
            f"{name} has {channels or image.ndim} {'channel(s)' if channels else 'dimensions'} of {image.dtype}, which is not "
            "supported; save it with 8 bits per channel as grey, RGB or RGBA."
        )
    if channels == 3:
        return np.ascontiguousarray(image), None
    code, note = (cv2.COLOR_GRAY2BGR, GREY_NOTE) if channels == 1 else (cv2.COLOR_BGRA2BGR, ALPHA_NOTE)
    return np.asarray(cv2.cvtColor(image, code), np.uint8), note
