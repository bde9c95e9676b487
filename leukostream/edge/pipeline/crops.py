"""The cells that were counted, cut out of their fields as the camera gave them."""

import math
import re
from pathlib import Path

from leukostream.edge.camera.bgr import bgr_of
from leukostream.edge.camera.frame import Frame, SourceInfo, SourceNote
from leukostream.edge.camera.tiff_store import TiffStore
from leukostream.edge.contracts.records import Detection
from leukostream.edge.pipeline.job import Findings

INDEX = "crops.jsonl"
_VERSION = 1
MARGIN = 0.25
"""A crop shows so much of a box's size around it on every side: a cell is judged by its neighbourhood, too."""


class CropStore:
    """One TIFF per counted cell below `folder`, in a directory per label, and `crops.jsonl`. Raises `SourceError`."""

    def __init__(self, folder: Path, info: SourceInfo, max_mb: float) -> None:
        about = {"crops": _VERSION, "uri": info.uri, "um_per_px": info.um_per_px, "is_synthetic": info.is_synthetic}
        self._store = TiffStore(folder, INDEX, about | {"camera": info.camera}, max_mb)

    def add(self, frame: Frame, findings: Findings) -> SourceNote | None:
        """Every cell of a field that was counted. A full disk ends the crops and not the run: that is the note, once."""
        if not findings.detections or self._store.full or (image := bgr_of(frame)) is None:
            return None
        height_px, width_px = image.shape[:2]
        for cell in findings.detections:
            x1, y1, x2, y2 = crop_of(cell, width_px, height_px)
            line = {
                "trigger_id": frame.trigger_id,
                "field_index": frame.field_index,
                "frame_id": frame.frame_id,
                "stage_nm": frame.stage_nm,
                "crop_px": [x1, y1, x2, y2],
                **cell.model_dump(include={"label", "best_class", "score", "margin", "box_px"}),
            }
            self._store.keep(line, image[y1:y2, x1:x2].copy(), frame.um_per_px, folder=re.sub(r"\W", "_", cell.label))
        return SourceNote("crops_full", self._store.full, "warning") if self._store.full else None

    def close(self) -> None:
        """Finish the index."""
        self._store.close()


def crop_of(cell: Detection, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 of a cell's crop in whole pixels inside the frame; x2, y2 exclusive, at least one pixel."""
    x1, y1, x2, y2 = cell.box_px
    dx, dy = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, top = (min(max(0, math.floor(at)), size - 1) for at, size in ((x1 - dx, width_px), (y1 - dy, height_px)))
    right, bottom = (min(math.ceil(at), size) for at, size in ((x2 + dx, width_px), (y2 + dy, height_px)))
    return left, top, max(right, left + 1), max(bottom, top + 1)
