"""Fields written for annotation, with the model's own boxes: as YOLO texts or COCO JSON, which annotation tools open."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2

from calib.image_choice import ChosenField
from edge.contracts.cells import CELLS, NAMES
from edge.contracts.choices import AnnotationFormat
from edge.contracts.detections import Cells, Image
from edge.contracts.errors import DataError
from edge.contracts.label_lines import SPECIAL_LABELS
from edge.contracts.whole_file import write_whole

CLASSES = (*NAMES, *SPECIAL_LABELS)
"""What an annotator may call a box: by these names the trainer knows it again."""

UNSURE_LEUKOCYTE, UNSURE_OTHER = "untyped_wbc", "ignore"
"""What cells are called that the model did not identify: left as they are, they teach no type."""

DESCRIPTION, CLASS_MAP, CHOSEN, AS_WRITTEN = "adapt.yaml", "adapt_classes.yaml", "chosen.csv", "preannotated.json"
JOINT = "__"
"""Between the slide and the field in an image's name: whoever divides the images keeps slides whole by it."""


def names_of(chosen: Sequence[ChosenField]) -> list[str]:
    """SLIDE__FIELD of each, in letters that every tool and system bears, each once."""
    names = [f"{_plain(each.slide) or 'slide'}{JOINT}{_plain(_stem(each.field.name))}" for each in chosen]
    twice = Counter(name.casefold() for name in names)
    return [
        f"{name}-{each.field.number}" if twice[name.casefold()] > 1 else name for name, each in zip(names, chosen, strict=True)
    ]


def _stem(name: str) -> str:
    last = name.rpartition("/")[2]
    return last.rpartition(".")[0] or last


def _plain(text: str) -> str:
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9.-]+", "_", text)).strip("_.")


def label_words(cells: Cells) -> list[str]:
    """Of each cell, the class that it is pre-annotated with."""
    words = []
    for label, identified in zip(cells.classes.tolist(), cells.identified.tolist(), strict=True):
        unsure = UNSURE_LEUKOCYTE if CELLS[label].is_wbc else UNSURE_OTHER
        words.append(CELLS[label].name if identified else unsure)
    return words


def write_image(folder: Path, name: str, image: Image) -> None:
    """The very pixels that the model saw, without loss: a JPEG's copy would be another picture."""
    done, encoded = cv2.imencode(".png", image)
    if not done:
        raise DataError(f"{name} cannot be written as PNG; report this defect with its size ({image.shape}).")
    write_whole(folder / "images" / f"{name}.png", encoded.tobytes())


def write_labels(folder: Path, chosen: Sequence[ChosenField], names: Sequence[str], as_format: AnnotationFormat) -> list[Path]:
    """The boxes; returns the files that a person is to correct."""
    if as_format == "coco":
        return [_coco(folder, chosen, names)]
    listed = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    write_whole(folder / "data.yaml", f"path: .\ntrain: images\nnames:\n{listed}")
    # labelImg looks for the names beside the labels.
    write_whole(folder / "labels" / "classes.txt", "".join(f"{name}\n" for name in CLASSES))
    files = []
    for each, name in zip(chosen, names, strict=True):
        files.append(folder / "labels" / f"{name}.txt")
        write_whole(files[-1], "".join(_yolo_lines(each)))
    return files


def _yolo_lines(each: ChosenField) -> list[str]:
    width, height = each.field.width_px, each.field.height_px
    lines = []
    for (x1, y1, x2, y2), word in zip(_inside(each), label_words(each.field.cells), strict=True):
        place = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{CLASSES.index(word)} {' '.join(f'{value:.6f}' for value in place)}\n")
    return lines


def _inside(each: ChosenField) -> list[list[float]]:
    boxes = each.field.cells.boxes_px.astype(float)
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, each.field.width_px)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, each.field.height_px)
    return [[float(value) for value in box] for box in boxes]


def _coco(folder: Path, chosen: Sequence[ChosenField], names: Sequence[str]) -> Path:
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, (each, name) in enumerate(zip(chosen, names, strict=True), start=1):
        size = {"width": each.field.width_px, "height": each.field.height_px}
        images.append({"id": number, "file_name": f"{name}.png", **size})
        for (x1, y1, x2, y2), word in zip(_inside(each), label_words(each.field.cells), strict=True):
            box = [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)]
            area = round(box[2] * box[3], 2)
            category = CLASSES.index(word) + 1
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box, "area": area}
            annotations.append({**row, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    file = folder / "annotations.json"
    write_whole(file, json.dumps({"images": images, "annotations": annotations, "categories": categories}, indent=1) + "\n")
    return file


def write_description(folder: Path, source: str, bundle: str, um_per_px: float, as_format: AnnotationFormat) -> None:
    """What `leuko-train` needs to know of them: format, scale, class names, and which images are of one slide."""
    more = "    annotations: {train: annotations.json}\n    images: images\n" if as_format == "coco" else ""
    text = (
        f"datasets:\n  - format: {as_format}\n    folder: .\n    class_map: {CLASS_MAP}\n    source: own\n"
        f"    um_per_px: {um_per_px:.6g}\n{more}"
        f"sources:\n  own: {{origin: {json.dumps(f'fields of {source}, annotated from the boxes of {bundle}')}, "
        f"licence: internal, group_by: '(.+?){JOINT}'}}\n"
    )
    write_whole(folder / DESCRIPTION, text)
    write_whole(folder / CLASS_MAP, "".join(f"{name}: {name}\n" for name in CLASSES))


def write_lists(folder: Path, chosen: Sequence[ChosenField], names: Sequence[str], files: Sequence[Path]) -> None:
    """Why each field was chosen, and what the labels were before a person looked at them."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("image", "field", "slide", "doubt", "cells", "why"))
    for each, name in zip(chosen, names, strict=True):
        doubt, cells = f"{each.field.doubt:.2f}", len(each.field.cells)
        rows.writerow((f"{name}.png", each.field.name, each.slide, doubt, cells, "; ".join(each.reasons)))
    write_whole(folder / CHOSEN, table.getvalue())
    hashes = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    write_whole(folder / AS_WRITTEN, json.dumps(hashes, indent=1) + "\n")
