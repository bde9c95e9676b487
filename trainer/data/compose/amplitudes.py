"""Fourier amplitude mixing: a field keeps its phases, which hold its shapes, and takes a part of another image's amplitudes.

After Xu et al. 2021 (FACT): amplitudes hold much of what a laboratory's stain, light and camera look like.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from edge.contracts.detections import Float32, Image


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
