"""A camera's pixels to BGR in one pass, which is also the copy out of the driver's buffer into the engine's slot."""

import cv2
import numpy as np

from edge.camera.frame import Frame, PixelFormat
from edge.contracts.detections import Image

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
