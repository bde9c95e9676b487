"""One annotated image, whatever format it came in."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator

from edge.contracts.cells import INDEX
from edge.contracts.detections import Float32, Int32
from trainer.data.account import Fate, Tally, moved
from trainer.data.faults import STRICT, BadBox, Faults

Box = tuple[float, float, float, float]
"""x1 y1 x2 y2 in pixels, x2 and y2 exclusive."""

UNTYPED_WBC = -1
"""A leukocyte whose type is not known: trains and tests objectness only, ignored in typed AP."""

IGNORE = -2
"""A region in which nothing is trained or tested: a cell mostly cut away, an uncertain object."""

UNTYPED_NEUTROPHIL = -3
"""A neutrophil of which nobody said band or segmented: trains that it is a leukocyte and none of the other types."""

NEUTROPHILS = (INDEX["neutrophil_band"], INDEX["neutrophil_segmented"])
"""What an `UNTYPED_NEUTROPHIL` may be."""


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(names) - set(INDEX)):
        raise ValueError(f"{unknown[0]!r} is no class; the classes are {', '.join(INDEX)}")
    return names


ClassNames = Annotated[tuple[str, ...], AfterValidator(_known)]
"""In a recipe: names of `CELLS`."""

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")

MIN_BOX_PX = 4.0
"""A shorter side is a slip of the annotator's mouse: no leukocyte is that small at any magnification that shows its type."""

MAX_OUTSIDE_PX = 3.0
"""Annotation tools round; a box further outside its image belongs to another image."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One image as annotated.

    boxes_px [n, 4] float32: x1 y1 x2 y2 in pixels of the original, x2 and y2 exclusive. labels [n] int32: index into `CELLS`,
    `UNTYPED_WBC`, `UNTYPED_NEUTROPHIL` or `IGNORE`. `original` groups what shows the same image under several names: it never
    is in two splits.
    """

    path: Path
    width_px: int
    height_px: int
    um_per_px: float
    boxes_px: Float32
    labels: Int32
    source: str
    original: str
    split: Split


def without_types(rows: Sequence[Annotation], names: Collection[str]) -> list[Annotation]:
    """The rows with every cell of these classes ignored, neither cell nor ground. A leukocyte of unknown type stays one."""
    if not names:
        return list(rows)
    untaught = [INDEX[name] for name in names]
    return [replace(row, labels=np.where(np.isin(row.labels, untaught), IGNORE, row.labels).astype(np.int32)) for row in rows]


SAME_CELL_IOU = 0.9
"""Boxes of one class that overlap more are one cell, marked twice; the first mark stays."""


def checked(
    boxes: Sequence[Box],
    labels: Sequence[int],
    size: tuple[int, int],
    where: Path,
    faults: Faults = STRICT,
    tally: Tally | None = None,
    said: str = "",
) -> tuple[Float32, list[int]]:
    """Boxes [n, 4] float32, clipped to the image of `size` (width, height), and their labels; a cell marked twice once.

    `where` is the file that holds them, `said` how to name it where that is not enough. A reversed, tiny or outlying box goes
    to `faults`, naming it. What is not used is noted in `tally`, which counts these boxes as used so far.
    """
    tally = Counter() if tally is None else tally
    good: list[Box] = []
    kept: list[int] = []
    for box, label in zip(boxes, labels, strict=True):
        fate = Fate.FAULTY
        with faults.of(where):
            good.append(_clipped(box, size, said or str(where)))
            kept.append(label)
            fate = Fate.USED
        moved(tally, Fate.USED, fate)
    once = _marked_once(np.asarray(good, np.float32).reshape(-1, 4), kept)
    moved(tally, Fate.USED, Fate.TWICE, len(kept) - len(once[1]))
    return once


def _clipped(box: Box, size: tuple[int, int], where: str) -> Box:
    x1, y1, x2, y2 = box
    width_px, height_px = size
    said = f"{where}: the box ({x1:g}, {y1:g}, {x2:g}, {y2:g})"
    if not all(map(math.isfinite, box)):
        raise BadBox(f"{said} is not finite; correct its numbers.")
    if x2 < x1 or y2 < y1:
        raise BadBox(f"{said} is reversed; write its smaller corner first.")
    if min(x1, y1) < -MAX_OUTSIDE_PX or x2 > width_px + MAX_OUTSIDE_PX or y2 > height_px + MAX_OUTSIDE_PX:
        raise BadBox(f"{said} leaves its {width_px}x{height_px} image; does it belong to another image?")
    x1, y1, x2, y2 = max(x1, 0.0), max(y1, 0.0), min(x2, float(width_px)), min(y2, float(height_px))
    if min(x2 - x1, y2 - y1) < MIN_BOX_PX:
        raise BadBox(f"{said} has a side under {MIN_BOX_PX:g} px; redraw or delete it.")
    return x1, y1, x2, y2


def _marked_once(boxes: Float32, labels: list[int]) -> tuple[Float32, list[int]]:
    kept: list[int] = []
    for row, label in enumerate(labels):
        if not any(labels[k] == label and _iou(boxes[k], boxes[row]) > SAME_CELL_IOU for k in kept):
            kept.append(row)
    return boxes[kept], [labels[k] for k in kept]


def _iou(a: Float32, b: Float32) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    overlap = float(sides.clip(0).prod())
    return overlap / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - overlap)
