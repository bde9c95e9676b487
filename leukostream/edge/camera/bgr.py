"""A camera's pixels to BGR in one pass, which is also the copy out of the driver's buffer."""

import cv2
import numpy as np

from leukostream.edge.contracts.detections import Image

# GenICam names a Bayer pattern by its first two pixels of the first row, OpenCV by the second row's second and third.
_CONVERSIONS = {
    "RGB8": cv2.COLOR_RGB2BGR,
    "BayerRG8": cv2.COLOR_BayerBG2BGR,
    "BayerGR8": cv2.COLOR_BayerGB2BGR,
    "BayerGB8": cv2.COLOR_BayerGR2BGR,
    "BayerBG8": cv2.COLOR_BayerRG2BGR,
    "Mono8": cv2.COLOR_GRAY2BGR,
}


def bytes_per_pixel(pixel_format: str) -> int:
    """Of a GenICam pixel format that `to_bgr` knows."""
    return 3 if pixel_format in {"RGB8", "BGR8"} else 1


def to_bgr(pixels: Image, pixel_format: str) -> Image:
    """uint8 [H, W, 3] BGR of its own from uint8 [H, W, 3] or [H, W] in a GenICam format. Raises KeyError for another format."""
    if pixel_format == "BGR8":
        return pixels.copy()
    return np.asarray(cv2.cvtColor(pixels, _CONVERSIONS[pixel_format]), np.uint8)
