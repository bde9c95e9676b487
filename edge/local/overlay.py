"""A field as it was photographed, with a box and a label around each cell that was counted."""

import colorsys
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.camera.frame import Frame, FrameSource, SourceInfo, SourceNote
from edge.camera.pixels import bgr_of
from edge.contracts.cells import CELLS
from edge.contracts.detections import Image
from edge.contracts.records import Detection, FieldRecord
from edge.contracts.records import SourceStatistics as Statistics
from edge.watch.record_text import SHORT

_JPEG_QUALITY = 92
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TEXT_PX = 34
"""Height of a field for each line of text: 17 px in the reference's fields of 574."""
_GREY_BGR = (110, 110, 110)
_NAME_CHARACTERS = 60


def _colour_bgr(number: int) -> tuple[int, int, int]:
    """Colours of neighbouring classes are far apart: a golden angle around the circle of hues."""
    red, green, blue = colorsys.hsv_to_rgb((0.08 + number * 0.618034) % 1.0, 0.85, 0.72)
    return round(255 * blue), round(255 * green), round(255 * red)


COLOUR_BGR = {cell.name: _colour_bgr(number) for number, cell in enumerate(CELLS)}


class FramesAtHand:
    """Passes another source's frames on and holds each one's image until its record has come.

    So many are held as a run has fields in work: of a run that waits for its fields (`lossless`), its queue and its slots.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._images: dict[str, Image] = {}

    @property
    def info(self) -> SourceInfo:
        return self._source.info

    def look_again(self) -> None:
        self._source.look_again()

    def start(self) -> None:
        self._source.start()

    def read(self, timeout_s: float) -> Frame:
        frame = self._source.read(timeout_s)
        image = bgr_of(frame)
        if image is not None:
            self._images[frame.trigger_id] = image.copy()
        return frame

    def notes(self) -> list[SourceNote]:
        return self._source.notes()

    def statistics(self) -> Statistics:
        return self._source.statistics()

    def close(self) -> None:
        self._source.close()

    def image_of(self, trigger_id: str) -> Image | None:
        """uint8 BGR [H, W, 3] of the field, for the caller; once."""
        return self._images.pop(trigger_id, None)


def drawn(image: Image, detections: Sequence[Detection]) -> Image:
    """`image` uint8 BGR [H, W, 3] itself, with boxes and labels on it; an unidentified cell says what it looks most like."""
    height_px, width_px = image.shape[:2]
    scale = max(0.35, height_px / _TEXT_PX / 34)
    thick = max(1, round(height_px / 500))
    for cell in detections:
        x1, y1, x2, y2 = (round(edge) for edge in cell.box_px)
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), COLOUR_BGR.get(cell.label, _GREY_BGR), thick, cv2.LINE_AA)
    for cell in detections:  # after all boxes, which would cross them
        x1, y1, _, y2 = (round(edge) for edge in cell.box_px)
        text = label_of(cell)
        (wide, high), below = cv2.getTextSize(text, _FONT, scale, thick)
        left = min(max(0, x1), max(0, width_px - wide - 2))
        top = y1 - high - below - 2 if y1 - high - below - 2 >= 0 else min(y2, height_px - high - below - 2)
        corner, end = (left, top), (left + wide + 2, top + high + below + 1)
        cv2.rectangle(image, corner, end, COLOUR_BGR.get(cell.label, _GREY_BGR), cv2.FILLED)
        cv2.putText(image, text, (left + 1, top + high + 1), _FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)
    return image


def label_of(cell: Detection) -> str:
    """`sNEU 97`: class and score in per cent; of an unidentified cell `MON? 41`, what it looks most like."""
    doubt = "" if cell.label == cell.best_class else "?"
    return f"{SHORT.get(cell.best_class, cell.best_class)}{doubt} {round(100 * cell.score)}"


def write_overlay(folder: Path, record: FieldRecord, image: Image) -> Path:
    """Draw and write one field as JPEG; its name begins with the field's index. Raises OSError."""
    kept = re.sub(r"[^\w.-]+", "_", Path(record.source_name).name, flags=re.ASCII).strip("._")[:_NAME_CHARACTERS]
    path = folder / f"{record.field_index:06d}{f'-{kept}' if kept else ''}.jpg"
    done, encoded = cv2.imencode(
        ".jpg", drawn(np.ascontiguousarray(image), record.detections), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if not done:
        raise OSError(f"{path}: OpenCV cannot write this picture as JPEG")
    path.write_bytes(encoded.tobytes())
    return path
