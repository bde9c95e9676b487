"""Pictures for the page: the frame of a field and the cells by class, from what a run keeps while it lasts."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.camera.decode import read_image
from edge.camera.frame import Frame
from edge.camera.frame_store import INDEX as FRAMES_INDEX
from edge.camera.frame_store import stored_image
from edge.camera.pixels import bgr_of
from edge.contracts.errors import FrameError
from edge.contracts.user_paths import expanded
from edge.pipeline.crops import INDEX as CROPS_INDEX
from edge.pipeline.parts import place_of_run
from edge.reports.kept_pictures import as_jpeg, jpeg_of_crop
from edge.reports.run_report import ReportedCell
from edge.view.followed_run import FollowedRun, Place
from edge.view.index_tail import IndexTail

MOST_OF_A_CLASS = 24
_FOLDER = "folder:"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a run says that its pictures are; None where it keeps none."""

    run_id: str
    frames: Path | None
    crops: Path | None
    images: Path | None
    """the folder of images that is counted"""
    is_known: bool
    """whether the run's first record has said so"""

    @classmethod
    def of(cls, run: FollowedRun, frames: Path | None, crops: Path | None) -> "Kept":
        """`frames` and `crops` are where they are by now, when they were moved."""
        said_frames, said_crops = run.setting("keep_frames"), run.setting("keep_crops")
        source = run.start.provenance.source if run.start else ""
        return cls(
            run.run_id,
            expanded(frames) if frames else Path(said_frames) if said_frames else None,
            expanded(crops) if crops else Path(said_crops) if said_crops else None,
            Path(source.removeprefix(_FOLDER)) if source.startswith(_FOLDER) else None,
            run.start is not None,
        )


class ShownPictures:
    """Of one run. Safe to use from any thread; what cannot be shown is None, and `said` says why."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.said = ""
        self._frames = self._tail(kept.frames, FRAMES_INDEX)
        self._crops = self._tail(kept.crops, CROPS_INDEX)
        self._by_label: dict[str, deque[int]] = {}
        self._n_of_label: dict[str, int] = {}
        self._n_sorted = 0

    def _tail(self, folder: Path | None, index: str) -> IndexTail | None:
        return IndexTail(place_of_run(folder, self.kept.run_id) / index) if folder else None

    def field(self, trigger_id: str, source_name: str) -> bytes | None:
        """The frame of a field as JPEG; None where none was kept, or not any more."""
        if self._frames is not None and not self._frames.look():
            line = next((one for one in reversed(self._frames.lines) if one.get("trigger_id") == trigger_id), None)
            return _jpeg_of_frame(self._frames.path.parent, line) if line is not None and "file" in line else None
        name = Path(source_name)
        if self.kept.images is None or not source_name or name.is_absolute() or ".." in name.parts:
            return None
        try:
            image, _ = read_image(self.kept.images / name, source_name)
        except FrameError:
            return None
        return as_jpeg(image)

    def crop(self, number: int) -> bytes | None:
        """The cell of that line of the index as JPEG."""
        if self._crops is None or not 0 <= number < len(self._crops.lines):
            return None
        return jpeg_of_crop(self._crops.path.parent, self._crops.lines[number])

    def gallery(self, ids: Mapping[Place, str], cells: Mapping[str, ReportedCell]) -> dict[str, Any]:
        """The newest cells of each class that were kept, with what people have said of them (`cells` by id)."""
        if self._crops is None:
            return {"said": "Pictures of cells are not kept; start the edge with --keep-crops DIR to see them.", "classes": []}
        said = self._crops.look()
        self._sort()
        classes = [
            {
                "label": label,
                "kept": self._n_of_label[label],
                "cells": [self._shown(number, ids, cells) for number in reversed(numbers)],
            }
            for label, numbers in sorted(self._by_label.items())
        ]
        return {"said": said or ("" if classes else "No cell was kept yet."), "classes": classes}

    def _sort(self) -> None:
        lines = self._crops.lines if self._crops else []
        if len(lines) < self._n_sorted:
            self._by_label, self._n_of_label, self._n_sorted = {}, {}, 0
        for number in range(self._n_sorted, len(lines)):
            label = str(lines[number].get("label", ""))
            self._by_label.setdefault(label, deque(maxlen=MOST_OF_A_CLASS)).append(number)
            self._n_of_label[label] = self._n_of_label.get(label, 0) + 1
        self._n_sorted = len(lines)

    def _shown(self, number: int, ids: Mapping[Place, str], cells: Mapping[str, ReportedCell]) -> dict[str, Any]:
        line = self._crops.lines[number] if self._crops else {}
        cell_id = ids.get((line.get("field_index", -1), tuple(line.get("box_px", ()))))
        cell = cells.get(cell_id) if cell_id else None
        judged = cell.judgement if cell else None
        return {
            "number": number,
            "cell": cell_id,
            "field_index": line.get("field_index"),
            "score": line.get("score"),
            "judged": (judged.label or "rejected") if judged else None,
            "who": judged.who if judged else None,
        }


def _jpeg_of_frame(folder: Path, line: dict[str, Any]) -> bytes | None:
    found = stored_image(folder, line)
    if "image" not in found:
        return None
    frame = Frame("", 0, "ok", found["image"], 1.0, 0, 0, pixel_format=line.get("pixel_format", "BGR8"))
    image = bgr_of(frame)
    return as_jpeg(image) if image is not None else None
