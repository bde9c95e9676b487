"""The cells that were counted, cut out of their fields as the camera gave them."""

import logging
import math
import re
import threading
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

from edge.camera.frame import Frame, SourceInfo, SourceNote
from edge.camera.pixels import bgr_of
from edge.camera.tiff_store import TiffStore
from edge.contracts.detections import Image
from edge.contracts.records import Detection
from edge.postprocess import Findings

INDEX = "crops.jsonl"
_VERSION = 1
MARGIN = 0.25
"""A crop shows so much of a box's size around it on every side: a cell is judged by its neighbourhood, too."""
WAITING = 512
"""Crops that may wait for the disk; beyond that they are not kept, because a slow disk must not hold the scan up."""
_DRAIN_S = 10.0
_POLL_S = 0.1

_log = logging.getLogger(__name__)


class CropStore:
    """One TIFF per counted cell below `folder`, in a directory per label, and `crops.jsonl`. Raises `SourceError`.

    A thread of its own writes and closes the files, so that whoever counts never waits for the disk. `add`, `drain` and `close`
    belong to one thread.
    """

    def __init__(self, folder: Path, info: SourceInfo, max_mb: float) -> None:
        about = {"crops": _VERSION, "uri": info.uri, "um_per_px": info.um_per_px, "is_synthetic": info.is_synthetic}
        self._store = TiffStore(folder, INDEX, about | {"camera": info.camera}, max_mb)
        self._waiting: Queue[tuple[dict[str, Any], Image, float]] = Queue(WAITING)
        self._closing = threading.Event()
        self._abandoned = threading.Event()
        self._crash = ""
        """What the thread died of; empty while it lives."""
        self._given = self._missed = 0
        self._told = False
        self._thread = threading.Thread(target=self._write_all, name="leuko-crops", daemon=True)
        self._thread.start()

    def add(self, frame: Frame, findings: Findings) -> SourceNote | None:
        """Every cell of a field that was counted. What is not kept ends neither field nor run: that is the note, once."""
        if not findings.detections or self._store.full or (image := bgr_of(frame)) is None:
            return self._trouble()
        height_px, width_px = image.shape[:2]
        for cell in findings.detections:
            x1, y1, x2, y2 = crop_of(cell, width_px, height_px)
            line = {
                "trigger_id": frame.trigger_id,
                "field_index": frame.field_index,
                "frame_id": frame.frame_id,
                "source_name": frame.source_name,
                "stage_nm": frame.stage_nm,
                "crop_px": [x1, y1, x2, y2],
                **cell.model_dump(include={"label", "best_class", "score", "margin", "box_px"}),
            }
            self._given += 1
            try:
                if not self._crash:
                    self._waiting.put_nowait((line, image[y1:y2, x1:x2].copy(), frame.um_per_px))
            except Full:
                self._missed += 1
        return self._trouble()

    def drain(self) -> SourceNote | None:
        """The run ends: wait until the disk has all. Returns what could not be kept, unless it was said before.

        A thread that is still busy then is left to itself: it finishes the crop it is at, skips the rest and closes the index.
        """
        self._closing.set()
        if not self._abandoned.is_set():
            self._thread.join(_DRAIN_S)
            if self._thread.is_alive():
                self._abandoned.set()
                self._missed = self._given - self._store.n_kept
        return self._trouble()

    def close(self) -> None:
        """The same when no run has ended here; what was not said goes to the log."""
        if (note := self.drain()) is not None:
            _log.warning("%s", note.message)

    def _trouble(self) -> SourceNote | None:
        if self._told or not (self._store.full or self._missed or self._crash):
            return None
        self._told = True
        missed = self._given - self._store.n_kept if self._crash else self._missed
        why = (
            f"the writing of crops into {self._store.folder} crashed ({self._crash}); {missed} cells were not kept so far, "
            "report this defect with the log of --log-level debug."
            if self._crash
            else f"{self._store.folder} is on a disk that is too slow: {missed} cells were not kept so far."
        )
        return SourceNote("crops_incomplete", self._store.full or why, "warning")

    def _write_all(self) -> None:
        try:
            while not (self._abandoned.is_set() or (self._closing.is_set() and self._waiting.empty())):
                try:
                    line, image, um_per_px = self._waiting.get(timeout=_POLL_S)
                except Empty:
                    continue
                self._store.keep(line, image, um_per_px, folder=re.sub(r"\W", "_", line["label"]))
        except Exception as problem:  # noqa: BLE001 a thread that dies silently would let crops wait for ever
            _log.debug("where the writing of crops failed", exc_info=problem)
            self._crash = f"{type(problem).__name__}: {problem}"
        finally:
            self._store.close()


def crop_of(cell: Detection, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """x1 y1 x2 y2 of a cell's crop in whole pixels inside the frame; x2, y2 exclusive, at least one pixel."""
    x1, y1, x2, y2 = cell.box_px
    dx, dy = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    left, top = (min(max(0, math.floor(at)), size - 1) for at, size in ((x1 - dx, width_px), (y1 - dy, height_px)))
    right, bottom = (min(math.ceil(at), size) for at, size in ((x2 + dx, width_px), (y2 + dy, height_px)))
    return left, top, max(right, left + 1), max(bottom, top + 1)
