"""Boxes fitted to the cells of a data set: what is told of them, and the recipe that uses them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calib.box_shapes import (
    FIELD_PX,
    FIELD_UM_PER_PX,
    SSD_S_MAX,
    SSD_S_MIN,
    Float64,
    System,
    best_overlap,
    fit_anchors,
    fit_scales,
    ssd_shapes_px,
)
from edge.contracts.errors import DataError
from edge.contracts.label_lines import LabelledImage

MIN_CELLS = 100
_FOUND_IOU = 0.5
_YOLO_TABLE_PX = 416


@dataclass(frozen=True, slots=True)
class Overlap:
    """How well a set of shapes can meet the cells."""

    mean_iou: float
    recall: float
    """Best possible: the share of cells that a shape overlaps by at least 0.5."""


@dataclass(frozen=True, slots=True)
class BoxFit:
    """What was fitted to a data set for one network. Shapes are width and height [n, 2]."""

    system: System
    n_cells: int
    n_cut: int
    sizes_um: Float64
    shapes_um: Float64
    shapes_px: Float64
    scales: tuple[float, float] | None
    """`s_min` and `s_max`, for SSD."""
    before: Overlap
    after: Overlap


def fit_boxes(images: Sequence[LabelledImage], system: System) -> BoxFit:
    """Fit the boxes of `system` to the cells of `images`, whatever their scale. Raises `DataError` for too few whole cells."""
    sizes_um, n_cut = _sizes_um(images)
    if len(sizes_um) < MIN_CELLS:
        raise DataError(
            f"{len(sizes_um)} whole cells are annotated, and boxes fitted to fewer than {MIN_CELLS} would follow chance;"
            " export more images, or keep the recipe's own boxes."
        )
    px_per_um = np.array([system.size_px / side for side in FIELD_PX]) / FIELD_UM_PER_PX
    sizes_px = sizes_um * px_per_um
    if system.ratios:
        scales = fit_scales(sizes_px, system)
        default, fitted = ssd_shapes_px(system, SSD_S_MIN, SSD_S_MAX), ssd_shapes_px(system, *scales)
    else:
        scales = None
        default = np.asarray(system.default_anchors_px) * system.size_px / _YOLO_TABLE_PX
        fitted = fit_anchors(sizes_px, len(default)).round(1)
    return BoxFit(
        system=system,
        n_cells=len(sizes_um),
        n_cut=n_cut,
        sizes_um=sizes_um,
        shapes_um=fitted / px_per_um,
        shapes_px=fitted,
        scales=scales,
        before=_overlap(sizes_px, default),
        after=_overlap(sizes_px, fitted),
    )


def recipe_fragment(fit: BoxFit) -> str:
    """A recipe that is based on the shipped one and has the fitted boxes; ends with a line break."""
    if fit.scales is not None:
        options = f"{{s_min: {fit.scales[0]:g}, s_max: {fit.scales[1]:g}}}"
    else:
        options = "{anchors_px: [" + ", ".join(f"[{w:g}, {h:g}]" for w, h in fit.shapes_px.tolist()) + "]}"
    return (
        f"# Boxes fitted to {fit.n_cells} cells: mean best overlap {fit.after.mean_iou:.3f}"
        f" (with the reference's: {fit.before.mean_iou:.3f}).\n"
        f"name: {fit.system.recipe}-fitted\nbased_on: {fit.system.recipe}\noptions: {options}\n"
    )


def as_json(fit: BoxFit) -> dict[str, object]:
    """Plain values."""
    return {
        "recipe": fit.system.recipe,
        "cells": fit.n_cells,
        "cells_cut_by_border": fit.n_cut,
        "median_cell_um": np.median(fit.sizes_um, axis=0).round(3).tolist(),
        "shapes_um": fit.shapes_um.round(3).tolist(),
        "shapes_px": fit.shapes_px.round(3).tolist(),
        "s_min": fit.scales and fit.scales[0],
        "s_max": fit.scales and fit.scales[1],
        "reference": {"mean_best_iou": fit.before.mean_iou, "best_possible_recall": fit.before.recall},
        "fitted": {"mean_best_iou": fit.after.mean_iou, "best_possible_recall": fit.after.recall},
    }


def _overlap(sizes_px: Float64, shapes_px: Float64) -> Overlap:
    best = best_overlap(sizes_px, shapes_px)
    return Overlap(float(best.mean()), float((best >= _FOUND_IOU).mean()))


def _sizes_um(images: Sequence[LabelledImage]) -> tuple[Float64, int]:
    """Widths and heights of whole cells [n, 2], and how many were cut by an image's border and left out."""
    sizes, n_cut = [], 0
    for image in images:
        for cell in image.cells:
            if cell.label == "ignore":
                continue
            if cell.x1_px <= 1 or cell.y1_px <= 1 or cell.x2_px >= image.width_px - 1 or cell.y2_px >= image.height_px - 1:
                n_cut += 1
                continue
            width_um, height_um = (cell.x2_px - cell.x1_px) * image.um_per_px, (cell.y2_px - cell.y1_px) * image.um_per_px
            if width_um > 0 and height_um > 0:
                sizes.append((width_um, height_um))
    return np.asarray(sizes, np.float64).reshape(-1, 2), n_cut
