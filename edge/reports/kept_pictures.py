"""Pictures of a run's fields and cells, as far as they were kept and are still where a report can find them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2

from edge.camera.decode import read_image
from edge.camera.frame import SourceEnded
from edge.camera.frame_store import INDEX as FRAMES_INDEX
from edge.camera.frame_store import StoredFrames
from edge.camera.pixels import bgr_of
from edge.camera.tiff_store import sha256_of
from edge.contracts.detections import Image
from edge.contracts.errors import FrameError, SourceError, first_line
from edge.contracts.user_paths import expanded
from edge.contracts.whole_file import read_whole
from edge.pipeline.crops import INDEX as CROPS_INDEX
from edge.pipeline.parts import place_of_run
from edge.reports.run_report import Report, ReportedCell, ReportedField

_QUALITY = 90
_FOLDER = "folder:"
_CLOCK_S = 2.0
"""How exactly file systems note when a file was written."""


@dataclass(slots=True)
class Pictures:
    """JPEG files of cells by label, for a page; `said` are sentences about what could not be shown."""

    by_label: dict[str, list[bytes]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)


def pictures_of_cells(report: Report, folder: Path | None, most: int) -> Pictures:
    """Up to `most` cells of each label, the surest first, from the crops that were kept in `folder` or where the run says.

    A crop that is missing, or that is not what was kept, is left out and counted in a sentence.
    """
    found = Pictures()
    where = expanded(folder) if folder else place_of_run(Path(report.kept_crops), report.run_id) if report.kept_crops else None
    if where is None or not report.counted_cells:  # a run that found no cell has kept none
        return found
    try:
        files = _crop_files(where)
    except SourceError as problem:
        found.said.append(str(problem))
        return found
    wrong = 0
    for label, cells in _by_label(report).items():
        shown: list[bytes] = []
        for cell in cells:
            line = files.get((cell.field_index, tuple(cell.box_px)))
            if line is None:
                continue
            picture = jpeg_of_crop(where, line)
            wrong += picture is None
            shown += [picture] if picture is not None else []
            if len(shown) == most:
                break
        if shown:
            found.by_label[label] = shown
    if wrong:
        found.said.append(f"{wrong} crops of {where} are missing or not what was kept; they are not shown.")
    return found


def _by_label(report: Report) -> dict[str, list[ReportedCell]]:
    cells: dict[str, list[ReportedCell]] = {}
    for cell in sorted(report.counted_cells, key=lambda cell: -cell.score):
        if cell.label_now is not None:
            cells.setdefault(cell.label_now, []).append(cell)
    return dict(sorted(cells.items()))


def _crop_files(folder: Path) -> dict[tuple[int, tuple[float, ...]], dict[str, Any]]:
    """Lines of the index by field index and box. Raises `SourceError`."""
    try:
        lines = read_whole(folder / CROPS_INDEX).split(b"\n")[1:-1]  # the first says what the source was
        found = [json.loads(line) for line in lines]
        return {(line["field_index"], tuple(line["box_px"])): line for line in found}
    except OSError as problem:
        raise SourceError(
            f"the crops of this run are not in {folder} ({first_line(problem)}); name the folder they are in now with --crops."
        ) from problem
    except (ValueError, LookupError, TypeError) as problem:
        raise SourceError(
            f"{folder / CROPS_INDEX} cannot be used ({first_line(problem)}); restore it from a copy."
        ) from problem


def jpeg_of_crop(folder: Path, line: Mapping[str, Any]) -> bytes | None:
    """The crop of a line of the index; None when it is missing or not what was kept."""
    try:
        image, _ = read_image(folder / line["file"], line["file"])
    except (FrameError, LookupError, TypeError):
        return None
    if sha256_of(image) != line.get("sha256"):
        return None
    return as_jpeg(image)


def as_jpeg(image: Image) -> bytes | None:
    """Pixels, uint8 BGR, as a browser shows them; None when they cannot be encoded."""
    done, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes() if done else None


def frames_of(report: Report, fields: Sequence[ReportedField], folder: Path | None) -> Iterator[tuple[ReportedField, Image]]:
    """Pixels of these fields, uint8 BGR as the camera gave them, from a recording or the folder of images that was counted.

    What is in neither of them is left out, and so is an image of the run's own folder that was written after it was counted; a
    copy in a `folder` that a person names may be newer. Raises `SourceError` when there is no place to look at.
    """
    where = _place_of_frames(report, folder)
    if (where / FRAMES_INDEX).exists():
        yield from _recorded(where, fields)
        return
    for one in fields:
        file = where / one.source_name
        if not one.source_name or not file.is_file() or (folder is None and _is_newer(file, one)):
            continue
        try:
            image, _ = read_image(file, one.source_name)
        except FrameError:
            continue
        if image.shape[:2] == (one.height_px, one.width_px):
            yield one, image


def _is_newer(file: Path, one: ReportedField) -> bool:
    """Whether a file was written after its field had been counted, so that it may show something else by now."""
    return file.stat().st_mtime > datetime.fromisoformat(one.wall_time).timestamp() + _CLOCK_S


def _place_of_frames(report: Report, folder: Path | None) -> Path:
    source = report.provenance.source
    said = source.removeprefix(_FOLDER) if source.startswith(_FOLDER) else None
    if report.kept_frames:
        said = str(place_of_run(Path(report.kept_frames), report.run_id))
    where = expanded(folder) if folder else Path(said) if said else None
    if where is None:
        raise SourceError(
            f"run {report.run_id} has kept no frames (--keep-frames), and its source is no folder of images: there are no "
            "pictures to go with the boxes; name a recording of it with --frames, or export csv or geojson."
        )
    if not where.is_dir():
        raise SourceError(
            f"the frames of run {report.run_id} are not in {where}; name the folder they are in now with --frames."
        )
    return where


def _recorded(folder: Path, fields: Sequence[ReportedField]) -> Iterator[tuple[ReportedField, Image]]:
    wanted = {one.trigger_id: one for one in fields}
    source = StoredFrames(str(folder), None)
    source.leave_out_all_but(wanted)
    try:
        while True:
            try:
                frame = source.read(0.0)
            except SourceEnded:
                return
            one, image = wanted[frame.trigger_id], bgr_of(frame)
            if image is not None and image.shape[:2] == (one.height_px, one.width_px):
                yield one, image
    finally:
        source.close()
