"""EXIF orientation: a camera stores a picture lying and says how to hold it, and an annotator saw it held.

Pixels are used as they are stored (`edge/camera/decode.py`). Whether boxes are of the stored picture or of the shown one
depends on the tool they were drawn with and is written nowhere, so that the description has to say it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image as Pillow

from edge.contracts.detections import Float32, Int32
from edge.contracts.errors import DataError
from trainer.data.annotation import Annotation, Split
from trainer.data.source_files import image_size

UPRIGHT = 1
TURNED = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height (EXIF 2.32, table 6)."""

TAG = 274


@dataclass(frozen=True, slots=True)
class View:
    """A picture as its annotator saw it: `size_px` (width, height) then, and how it has to be held for that."""

    path: Path
    stored_px: tuple[int, int]
    orientation: int
    shown: bool | None

    @property
    def size_px(self) -> tuple[int, int]:
        width, height = self.stored_px
        return (height, width) if self.shown and self.orientation in TURNED else (width, height)

    def stored(self, boxes: Float32) -> Float32:
        """Boxes [n, 4] of this view, in pixels of the stored picture. Raises `DataError` where nobody said which is meant."""
        if self.orientation == UPRIGHT or len(boxes) == 0 or self.shown is False:
            return boxes
        if self.shown is None:
            raise DataError(
                f"{self.path} has the EXIF orientation {self.orientation}: most programs show it turned, and its boxes may be "
                "of the shown picture or of the stored one; say `orientation: shown` or `orientation: stored` in its data set "
                "and look at --sheet, or save the image turned and without that tag."
            )
        width, height = self.stored_px
        x1, y1, x2, y2 = boxes.T
        corners = {
            2: (width - x2, y1, width - x1, y2),
            3: (width - x2, height - y2, width - x1, height - y1),
            4: (x1, height - y2, x2, height - y1),
            5: (y1, x1, y2, x2),
            6: (y1, height - x2, y2, height - x1),
            7: (width - y2, height - x2, width - y1, height - x1),
            8: (width - y2, x1, width - y1, x2),
        }
        return np.stack(corners[self.orientation], axis=1).astype(np.float32)


def annotated(
    view: View, boxes: Float32, labels: Sequence[int] | Int32, um_per_px: float, source: str, original: str, split: Split
) -> Annotation:
    """What was marked in a view, as an annotation of the stored picture. Raises `DataError` as `View.stored` does."""
    stored = view.stored(boxes)
    return Annotation(
        view.path,
        *view.stored_px,
        um_per_px,
        stored,
        np.asarray(labels, np.int32),
        source=source,
        original=original,
        split=split,
    )


def view_of(path: Path, orientation: Literal["stored", "shown"] | None) -> View:
    """How the annotator saw an image, by what the description says. Raises `UnreadableImage`, and `DataError` for a TIFF that
    has to be turned, which some decoders do and others do not."""
    tag = _orientation(path)
    if tag != UPRIGHT and path.suffix.lower() in {".tif", ".tiff"}:
        raise DataError(
            f"{path} is a TIFF with the orientation {tag}, which not all programs heed; save it turned, without it."
        )
    return View(path, image_size(path), tag, None if orientation is None else orientation == "shown")


def _orientation(path: Path) -> int:
    try:
        with Pillow.open(path) as header:
            tag = header.getexif().get(TAG, UPRIGHT)
    except Exception:  # noqa: BLE001 - damaged metadata raise anything, and other programs do not read them either
        return UPRIGHT
    return tag if tag in range(1, 9) else UPRIGHT
