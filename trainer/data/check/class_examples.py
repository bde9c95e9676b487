"""Examples of every class, cut out at one scale and drawn on one sheet, to look at before training."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.contracts.cells import CELLS
from edge.contracts.detections import Image
from edge.contracts.errors import ConfigError, DataError
from edge.contracts.whole_file import write_whole
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.compose.field import Field, cut_boxes
from trainer.data.image_store import ImageStore

SIDE_UM = 24.0
"""The largest leukocytes measure 20 um."""

PAPER = (255, 255, 255)

PICTURES = (".png", ".jpg")

_SPECIAL = {UNTYPED_WBC: ("WBC", (0, 160, 0)), UNTYPED_NEUTROPHIL: ("NEU", (0, 160, 0)), IGNORE: ("ignore", (128, 128, 128))}


def require_picture(path: Path) -> None:
    """Raises `ConfigError` for a file whose name is none of a picture that can be written."""
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(f"a sheet cannot be written as {path.name!r}; use {' or '.join(PICTURES)}.")


def write_examples(path: Path, annotations: Sequence[Annotation]) -> None:
    """`class_examples` as a picture. Raises `ConfigError` when it cannot be written, `DataError` without a cell."""
    _, encoded = cv2.imencode(path.suffix, class_examples(annotations))
    try:
        write_whole(path, encoded.tobytes())
    except OSError as problem:
        raise ConfigError(f"{path} cannot be written ({problem.strerror}); choose another --sheet.") from problem


def class_examples(annotations: Sequence[Annotation], um_per_px: float = 0.13, per_class: int = 10) -> Image:
    """uint8 BGR: one row a class, its cells with all boxes drawn, taken from its sources in turn, at `um_per_px`.

    Raises `DataError` when there is no cell to show.
    """
    side_px = round(SIDE_UM / um_per_px)
    by_class: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for number, row in enumerate(annotations):
        for cell, label in enumerate(row.labels.tolist()):
            if label != IGNORE:
                by_class[label][row.source].append((number, cell))
    if not by_class:
        raise DataError("no image has a cell, so that there is no example to draw; check the class map and the annotations.")
    store = ImageStore(um_per_px)
    fields: list[Field] = []
    for label in sorted(by_class):
        chosen = _in_turn(list(by_class[label].values()), per_class)
        fields += [_around(store, annotations[number], cell, side_px) for number, cell in chosen]
        blank = np.full((side_px, side_px, 3), PAPER, np.uint8)
        fields += [Field(blank, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))] * (per_class - len(chosen))
    return contact_sheet(fields, per_class)


def _in_turn(by_source: list[list[tuple[int, int]]], count: int) -> list[tuple[int, int]]:
    """As evenly from the sources as they allow, and evenly over each one's list."""
    share = -(-count // len(by_source))
    spread = [cells[:: max(1, len(cells) // share)] for cells in by_source]
    return [cells[turn] for turn in range(max(map(len, spread))) for cells in spread if turn < len(cells)][:count]


def _around(store: ImageStore, row: Annotation, cell: int, side_px: int) -> Field:
    image, boxes, labels = store.get(row)
    left, top = np.round((boxes[cell, :2] + boxes[cell, 2:] - side_px) / 2).astype(int).tolist()
    padded = cv2.copyMakeBorder(image, *(side_px,) * 4, cv2.BORDER_CONSTANT, value=PAPER)
    part = padded[top + side_px : top + 2 * side_px, left + side_px : left + 2 * side_px]
    return Field(np.asarray(part, np.uint8), *cut_boxes(boxes, labels, (left, top, left + side_px, top + side_px)))


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
