"""A sheet of fields to look at, with their boxes."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge.contracts.cells import CELLS
from edge.contracts.detections import Image
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.data.compose.field import Field

_SPECIAL = {UNTYPED_WBC: ("WBC", (0, 160, 0)), UNTYPED_NEUTROPHIL: ("NEU", (0, 160, 0)), IGNORE: ("ignore", (128, 128, 128))}


def contact_sheet(fields: Sequence[Field], columns: int = 4) -> Image:
    """Fields of one size in rows of `columns`, boxes and labels drawn; uint8 BGR."""
    height, width = fields[0].image.shape[:2]
    rows = -(-len(fields) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, field in enumerate(fields):
        drawn = field.image.copy()
        for (x1, y1, x2, y2), label in zip(field.boxes.round().astype(int).tolist(), field.labels.tolist(), strict=True):
            text, colour = _SPECIAL[label] if label in _SPECIAL else (CELLS[label].abbreviation, (200, 0, 0))
            cv2.rectangle(drawn, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
            cv2.putText(drawn, text, (x1 + 1, y1 + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)
        top, left = number // columns * height, number % columns * width
        sheet[top : top + height, left : left + width] = drawn
    return sheet
