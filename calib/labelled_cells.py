"""A bundle's cells on annotated images, by the edge's own way, each with what the annotation says of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera.correction import Correction
from edge.camera.decode import read_image
from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.bundle import BundleManifest, Thresholds
from edge.contracts.cells import CELLS, INDEX
from edge.contracts.detections import Float32, Image, Int32, RawDetections
from edge.contracts.errors import DataError, FrameError
from edge.contracts.label_lines import LabelledImage
from edge.pipeline.one_image import ImageEngines, OpenEngine, infer
from edge.postprocess import OperatingPoint, ious, postprocess

FALSE, IGNORED = -9, -8
"""Truth of a cell that is annotated nowhere, and of one in a region of which nothing is known."""
SPECIAL = {"untyped_wbc": -1, "untyped_neutrophil": -2, "ignore": IGNORED}
IS_WBC = np.array([cell.is_wbc for cell in CELLS])
_IOU = 0.5
_KNOWN_NOTHING = 0.5
"""Share of a cell's box within an ignored region from which nothing is said of it."""


@dataclass(frozen=True, slots=True)
class ImageRows:
    """What the graph gave for one image, and its annotation: `truth_boxes_px` [m, 4], `truth` [m] classes or special values."""

    group: int
    plan: FitPlan
    raw: RawDetections
    truth_boxes_px: Float32
    truth: Int32


@dataclass(frozen=True, slots=True)
class LabelledCells:
    """All cells of a set of images at one operating point: [n] each, `group` as in the label lines.

    `truth` is a class, a special value or `FALSE`; `identified` as the edge decides it. `annotated` [m, 3] has a row for each
    annotated cell: its group, its class or special value, and the index of the cell that finds it, or -1.
    """

    group: Int32
    presence: Float32
    score: Float32
    margin: Float32
    best: Int32
    truth: Int32
    identified: NDArray[np.bool_]
    annotated: Int32


def rows_of(
    images: Sequence[LabelledImage],
    root: Path,
    manifest: BundleManifest,
    opened: OpenEngine,
    correction: Correction | None = None,
) -> Iterator[ImageRows]:
    """Run every image, corrected on its way as a run corrects it. Raises `DataError` for one that cannot be read or is of
    another size than its line says."""
    expected = manifest.um_per_px, manifest.field_width_px, manifest.field_height_px
    with ImageEngines(opened) as engines:
        for line in images:
            image = _pixels(line, root)
            plan = plan_fit(line.width_px, line.height_px, line.um_per_px, *expected, correction=correction)
            boxes = [(cell.x1_px, cell.y1_px, cell.x2_px, cell.y2_px) for cell in line.cells]
            truth = [INDEX.get(cell.label, SPECIAL.get(cell.label, IGNORED)) for cell in line.cells]
            yield ImageRows(
                line.group,
                plan,
                infer(engines.of(plan), plan, image)[0],
                np.asarray(boxes, np.float32).reshape(-1, 4),
                np.asarray(truth, np.int32),
            )


def cells_at(rows: Sequence[ImageRows], thresholds: Thresholds) -> LabelledCells:
    """The cells that the edge would count at `thresholds`, judged."""
    point = OperatingPoint.of(thresholds)
    found = [(row, postprocess(row.raw, row.plan, point)) for row in rows]
    judged = [_judged(cells.boxes_px, row) for row, cells in found]
    annotated: list[tuple[int, int, int]] = []
    n_before = 0
    for (row, cells), (_, finders) in zip(found, judged, strict=True):
        for at in np.flatnonzero(row.truth != IGNORED).tolist():
            annotated.append((row.group, int(row.truth[at]), n_before + finders[at] if at in finders else -1))
        n_before += len(cells)
    return LabelledCells(
        group=np.repeat([row.group for row, _ in found], [len(cells) for _, cells in found]).astype(np.int32),
        presence=np.concatenate([cells.presence for _, cells in found]),
        score=np.concatenate([cells.scores for _, cells in found]),
        margin=np.concatenate([cells.margins for _, cells in found]),
        best=np.concatenate([cells.classes for _, cells in found]),
        truth=np.concatenate([truth for truth, _ in judged]),
        identified=np.concatenate([cells.identified for _, cells in found]),
        annotated=np.asarray(annotated, np.int32).reshape(-1, 3),
    )


def _judged(boxes_px: Float32, row: ImageRows) -> tuple[Int32, dict[int, int]]:
    """The truth of each cell, surest first: each annotation is found once; and which cell finds each annotation."""
    truth = np.full(len(boxes_px), FALSE, np.int32)
    finders: dict[int, int] = {}
    if not len(boxes_px) or not len(row.truth):
        return truth, finders
    overlap = ious(boxes_px, row.truth_boxes_px)
    overlap[:, row.truth == IGNORED] = 0
    for cell in range(len(boxes_px)):
        free = np.where(np.isin(np.arange(len(row.truth)), list(finders)), 0, overlap[cell])
        best = int(free.argmax())
        if free[best] >= _IOU:
            truth[cell], finders[best] = row.truth[best], cell
        elif _lies_in(boxes_px[cell], row.truth_boxes_px[row.truth == IGNORED]):
            truth[cell] = IGNORED
    return truth, finders


def _lies_in(box: Float32, regions: Float32) -> bool:
    low, high = np.maximum(box[:2], regions[:, :2]), np.minimum(box[2:], regions[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    return bool((shared >= _KNOWN_NOTHING * (box[2:] - box[:2]).prod()).any())


def _pixels(line: LabelledImage, root: Path) -> Image:
    try:
        image, _ = read_image(root / line.path, line.path)
    except (FrameError, OSError) as problem:
        raise DataError(f"{problem} (--root is {root})") from problem
    if image.shape[:2] != (line.height_px, line.width_px):
        raise DataError(
            f"{line.path} is {image.shape[1]} x {image.shape[0]} px, and its labels are for {line.width_px} x {line.height_px}"
            " px; export the labels again from the images as they are now."
        )
    return image
