"""Fields that look as no training image does: colours that only other laboratories have, and another image's amplitudes.

Fourier amplitude mixing is after Xu et al. 2021 (FACT): a field keeps its phases, which hold its shapes, and takes a part of
the amplitudes of another image, which hold much of what a laboratory's stain, light and camera look like.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from edge.contracts.detections import Float32, Image
from trainer.data.compose.palette import Palette


def amplitudes_mixed(image: Image, other: Image, share: float) -> Image:
    """`image` with `share` of the amplitudes of `other`, which has its size: uint8 [H, W, 3], by channel."""
    planes = []
    for channel in range(3):
        own, theirs = _spectrum(image[..., channel]), _spectrum(other[..., channel])
        size = np.abs(own)
        gain = (1 - share) + share * np.abs(theirs) / np.maximum(size, 1e-3)
        plane: Float32 = np.asarray(fft.irfft2(own * gain, s=image.shape[:2]), np.float32)
        planes.append(plane)
    return np.asarray(np.rint(cv2.merge(planes)).clip(0, 255), np.uint8)


def _spectrum(plane: Image) -> NDArray[np.complex64]:
    return np.asarray(fft.rfft2(plane.astype(np.float32)), np.complex64)


def strange(rng: np.random.Generator) -> Palette:
    """Colours that laboratories have and few collections of images show: every other time an overexposed ground with grey-blue
    red cells, else a strong cast of the lamp or the camera's white balance over the usual pink."""
    if rng.random() < 0.5:
        empty = rng.uniform(0.0, 0.03, 3)
        # Grey: alike in all channels; blue: least in the first.
        depth = float(rng.uniform(0.15, 0.4)) * np.array([0.75, 1.0, 1.0]) * np.exp(rng.normal(0, 0.12, 3))
    else:
        lamp = -np.log(rng.uniform(0.45, 1.0)) + rng.normal(0, 0.25, 3)
        empty = lamp.clip(0.0, 1.2)
        depth = float(rng.uniform(0.6, 1.4)) * np.array([0.2, 0.32, 0.08]) * np.exp(rng.normal(0, 0.2, 3))
    return Palette(empty.astype(np.float32), (empty + depth).astype(np.float32))
