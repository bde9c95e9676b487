"""Decoded images at one physical scale."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.contracts.detections import Float32, Image, Int32
from trainer.data.annotation import Annotation
from trainer.data.faults import STRICT, Faults
from trainer.data.files import read_image
from trainer.data.pixel_file import PixelFile


def scaled_size(width_px: int, height_px: int, factor: float) -> tuple[int, int]:
    """(width, height) in whole pixels, at least one, of an image that is `factor` times as large."""
    return max(1, round(width_px * factor)), max(1, round(height_px * factor))


class ImageStore:
    """Decodes each image once and keeps it in a file of `folder`, rescaled to `um_per_px`, as uint8 BGR (1.3 MB a field)."""

    def __init__(self, um_per_px: float = 0.13, folder: Path | None = None) -> None:
        self.um_per_px = um_per_px
        self.keep = PixelFile(folder).keep
        self._images: dict[str, Image] = {}

    def load(self, annotations: Sequence[Annotation], faults: Faults = STRICT) -> list[Annotation]:
        """Decode all images now, so that a file damaged later does no harm; the annotations of those that can be read.

        An image that cannot be read goes to `faults`. Raises `DataError` where those do not bear it, or no more of them.
        """
        kept: list[Annotation] = []
        for annotation in annotations:
            with faults.of(annotation.path):
                self.get(annotation)
                kept.append(annotation)
        faults.within_limit(len(kept))
        return kept

    def get(self, annotation: Annotation) -> tuple[Image, Float32, Int32]:
        """image uint8 [h, w, 3], boxes [n, 4] float32 in its pixels, labels [n]. Raises `DataError` for a damaged file."""
        key = str(annotation.path)
        if key not in self._images:
            image = read_image(annotation.path)
            factor = annotation.um_per_px / self.um_per_px
            size = scaled_size(image.shape[1], image.shape[0], factor)
            # Area averaging when shrinking, as the optics of a coarser pixel would; bilinear when enlarging.
            method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
            self._images[key] = self.keep(np.asarray(cv2.resize(image, size, interpolation=method), np.uint8))
        image = self._images[key]
        scale = np.array([image.shape[1] / annotation.width_px, image.shape[0] / annotation.height_px] * 2, np.float32)
        return image, annotation.boxes_px * scale, annotation.labels
