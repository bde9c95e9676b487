"""A run's fields with their cells as training data, in COCO or YOLO, with the description that `leuko-train` reads.

Every view of a cell is a box in its own field, called what its cell is called now. What a person has rejected is no box. A
leukocyte of uncertain class stays one of unknown type, another uncertain cell a region of which nothing is known.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.detections import Image
from edge.contracts.errors import DataError
from edge.contracts.whole_file import write_whole
from edge.reports.kept_pictures import frames_of
from edge.reports.run_report import Report, ReportedCell, ReportedField

Format = Literal["coco", "yolo"]
FOLDER, DESCRIPTION, CLASS_MAP = "fields", "datasets.yaml", "class_map.yaml"
_SPECIAL = {UNIDENTIFIED: "untyped_wbc", UNIDENTIFIED_NON_WBC: "ignore"}
NAMES = (*(cell.name for cell in CELLS), *_SPECIAL)
"""Categories in the order of their numbers."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many fields and boxes were written, and how many fields had no picture any more."""

    fields: int
    boxes: int
    without_picture: int


def export_training(report: Report, how: Format, folder: Path, frames: Path | None, *, only_reviewed: bool) -> Exported:
    """Write images, labels, description and class map into `folder`, which exists and is empty.

    `only_reviewed` takes the fields of which a person has judged every cell, and no other. Raises `SourceError` when no frames
    are kept, `DataError` when no field is left, and OSError.
    """
    cells: dict[int, list[ReportedCell]] = {}
    for cell in report.cells:
        cells.setdefault(cell.field_index, []).append(cell)
    wanted = [one for one in report.fields if one.counted and not one.replaced and one.width_px and one.height_px]
    if only_reviewed:
        judged = {index for index, found in cells.items() if all(cell.judgement for cell in found)}
        wanted = [one for one in wanted if one.field_index in judged]
    if not wanted:
        what = "a field of which every cell was reviewed" if only_reviewed else "a field that was counted"
        raise DataError(f"run {report.run_id} has not {what}, so there is nothing to train on; export csv to see what it has.")
    images = folder / FOLDER / "images"
    images.mkdir(parents=True)
    written: list[tuple[str, ReportedField, list[ReportedCell]]] = []
    for one, image in frames_of(report, wanted, frames):
        name = f"{_plain(report.run_id)}-f{one.field_index:06d}"
        _write_png(images / f"{name}.png", image)
        found = [cell for cell in cells.get(one.field_index, ()) if cell.label_now is not None]
        written.append((name, one, found))
    if not written:
        raise DataError(f"of no field of run {report.run_id} a picture was found; name where its frames are now with --frames.")
    (_write_coco if how == "coco" else _write_yolo)(folder / FOLDER, written)
    _describe(report, how, folder)
    return Exported(len(written), sum(len(found) for _, _, found in written), len(wanted) - len(written))


def _plain(name: str) -> str:
    return "".join(one if one.isascii() and (one.isalnum() or one in "-_") else "_" for one in name)[:64]


def _write_png(path: Path, image: Image) -> None:
    done, encoded = cv2.imencode(".png", image)
    if not done:
        raise OSError(f"{path}: OpenCV cannot write this picture as PNG")
    path.write_bytes(encoded.tobytes())


def _clipped(cell: ReportedCell, one: ReportedField) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = cell.box_px
    width_px, height_px = one.width_px or 0, one.height_px or 0
    return max(0.0, x1), max(0.0, y1), min(float(width_px), x2), min(float(height_px), y2)


def _write_coco(folder: Path, written: Sequence[tuple[str, ReportedField, list[ReportedCell]]]) -> None:
    images: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for number, (name, one, found) in enumerate(written, start=1):
        file = {"id": number, "file_name": f"{name}.png", "width": one.width_px, "height": one.height_px}
        images.append(file)
        for cell in found:
            x1, y1, x2, y2 = _clipped(cell, one)
            mark = {
                "id": len(marks) + 1,
                "image_id": number,
                "category_id": 1 + NAMES.index(cell.label_now or ""),
                "bbox": [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)],
                "area": round((x2 - x1) * (y2 - y1), 3),
                "iscrowd": 0,
                "attributes": {"cell": cell.id, "score": cell.score, "reviewed": cell.judgement is not None, **_added(cell)},
            }
            marks.append(mark)
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)]
    write_whole(folder / "annotations.json", json.dumps({"images": images, "annotations": marks, "categories": categories}))


def _added(cell: ReportedCell) -> dict[str, bool]:
    return {"added": True, "box_is_assumed": cell.box_is_assumed} if cell.added else {}


def _write_yolo(folder: Path, written: Sequence[tuple[str, ReportedField, list[ReportedCell]]]) -> None:
    (folder / "labels").mkdir()
    for name, one, found in written:
        lines = []
        for cell in found:
            x1, y1, x2, y2 = _clipped(cell, one)
            width_px, height_px = one.width_px or 1, one.height_px or 1
            middle = ((x1 + x2) / 2 / width_px, (y1 + y2) / 2 / height_px, (x2 - x1) / width_px, (y2 - y1) / height_px)
            lines.append(" ".join([str(NAMES.index(cell.label_now or "")), *(f"{value:.7f}" for value in middle)]))
        write_whole(folder / "labels" / f"{name}.txt", "".join(f"{line}\n" for line in lines))
    write_whole(folder / "data.yaml", json.dumps({"names": list(NAMES)}) + "\n")  # JSON is YAML, and needs no quoting


def _describe(report: Report, how: Format, folder: Path) -> None:
    source = f"leukostream {report.slide_id or report.run_id}"
    um_per_px = next((one.um_per_px for one in report.fields if one.um_per_px), report.provenance.um_per_px)
    dataset: dict[str, Any] = {
        "format": how,
        "folder": FOLDER,
        "class_map": CLASS_MAP,
        "source": source,
        "um_per_px": um_per_px,
    }
    if how == "coco":
        dataset["annotations"] = "annotations.json"
    origin = {
        "origin": f"run {report.run_id}, {report.state}, cells called by {report.provenance.bundle_name}",
        "licence": "not stated: ask the laboratory",
        "group_by": "(.+)-f\\d+$",
    }
    write_whole(folder / DESCRIPTION, json.dumps({"sources": {source: origin}, "datasets": [dataset]}, indent=2) + "\n")
    write_whole(folder / CLASS_MAP, json.dumps({name: _SPECIAL.get(name, name) for name in NAMES}, indent=2) + "\n")
