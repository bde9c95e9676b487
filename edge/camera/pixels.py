"""Pixels as everything behind a source has them: uint8 BGR, whatever a camera sends or a file holds.

A camera's format is converted in one pass, which is also the copy out of the driver's buffer into the engine's slot.
"""

import os
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.frame import Frame, PixelFormat, SourceNote
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError

GREY_NOTE = SourceNote("grey_converted", "grey images are converted to BGR with three equal channels.")
ALPHA_NOTE = SourceNote("alpha_dropped", "the alpha channel of images with four channels is dropped.")

# GenICam names a Bayer pattern by its first two pixels of the first row, OpenCV by the second row's second and third.
_CONVERSIONS = {
    "RGB8": cv2.COLOR_RGB2BGR,
    "BayerRG8": cv2.COLOR_BayerBG2BGR,
    "BayerGR8": cv2.COLOR_BayerGB2BGR,
    "BayerGB8": cv2.COLOR_BayerGR2BGR,
    "BayerBG8": cv2.COLOR_BayerRG2BGR,
    "Mono8": cv2.COLOR_GRAY2BGR,
}


def shape_of(width_px: int, height_px: int, pixel_format: PixelFormat) -> tuple[int, ...]:
    """Shape of an image in this format."""
    return (height_px, width_px, 3) if pixel_format in {"RGB8", "BGR8"} else (height_px, width_px)


def to_bgr(pixels: Image, pixel_format: PixelFormat, into: Image | None = None) -> Image:
    """uint8 [H, W, 3] BGR from uint8 [H, W, 3] or [H, W]: in `into` when given, else in memory of its own."""
    if pixel_format == "BGR8":
        if into is None:
            return pixels.copy()
        into[...] = pixels
        return into
    done = np.asarray(cv2.cvtColor(pixels, _CONVERSIONS[pixel_format], dst=into), np.uint8)
    if into is not None and not np.may_share_memory(done, into):
        raise ValueError(f"an image of {pixels.shape} cannot be converted into {into.shape}")  # OpenCV would have reallocated
    return done


def bgr_of(frame: Frame) -> Image | None:
    """The frame's image in BGR: itself where it is that already."""
    if frame.image is None or frame.pixel_format == "BGR8":
        return frame.image
    return to_bgr(frame.image, frame.pixel_format)


def channels_to_bgr(image: NDArray[Any], name: str = "the image") -> tuple[Image, SourceNote | None]:
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


def quiet_opencv() -> None:
    """Switch off OpenCV's own chatter on standard error: every failure it prints is reported by us, once, as a sentence.

    In this process; idempotent. libpng and libjpeg still print a line of their own.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when the first video is opened
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
