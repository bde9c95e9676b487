"""Where a run's fields and boxes lie on the slide, from what its records say of both: no profile is needed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.reports.run_report import Box, Report, ReportedCell, ReportedField

Point = tuple[float, float]
_ROUNDING = 1e-4
"""Of a matrix's parts: places of boxes are whole nanometres."""
_TURNED_ENOUGH = 1e-6
"""Condition under which the offsets of boxes from their field's centre tell how the camera is turned."""


@dataclass(frozen=True, slots=True)
class SlideLayout:
    """How images lie on the stage: `um_per_px` has rows stage x, y, columns image x, y; `origin_um`: corner of all."""

    um_per_px: tuple[Point, Point]
    origin_um: Point

    @property
    def pixel_um(self) -> float:
        """Side of a pixel."""
        (a, b), (c, d) = self.um_per_px
        return float(np.sqrt(abs(a * d - b * c)))

    def corners_um(self, one: ReportedField, box_px: Box) -> list[Point]:
        """The four corners of a box of a field that says where it lies, from the origin."""
        (a, b), (c, d) = self.um_per_px
        x_um, y_um = one.stage_um or (0.0, 0.0)
        half_x, half_y = (one.width_px or 0) / 2, (one.height_px or 0) / 2
        x1, y1, x2, y2 = box_px
        corners = []
        for x_px, y_px in ((x1, y1), (x2, y1), (x2, y2), (x1, y2)):
            x, y = x_px - half_x, y_px - half_y
            corners.append((x_um + a * x + b * y - self.origin_um[0], y_um + c * x + d * y - self.origin_um[1]))
        return corners


def layout_of(report: Report) -> SlideLayout | None:
    """None when no field says where it lies.

    The matrix is that by which the edge has placed the boxes, found again from their places by least squares; a run with too
    few cells for that is taken for one whose camera is not turned.
    """
    placed = [one for one in report.fields if one.stage_um is not None and one.width_px and one.height_px]
    if not placed:
        return None
    um = next((one.um_per_px for one in placed if one.um_per_px), report.provenance.um_per_px)
    matrix = _matrix(report.cells, {one.field_index: one for one in placed})
    if matrix is None or np.allclose(matrix, ((um, 0.0), (0.0, um)), rtol=0, atol=_ROUNDING * um):
        matrix = ((um, 0.0), (0.0, um))
    free = SlideLayout(matrix, (0.0, 0.0))
    corners = [corner for one in placed for corner in free.corners_um(one, (0, 0, one.width_px or 0, one.height_px or 0))]
    return SlideLayout(matrix, (min(x for x, _ in corners), min(y for _, y in corners)))


def _matrix(cells: Sequence[ReportedCell], fields: dict[int, ReportedField]) -> tuple[Point, Point] | None:
    offsets_px, offsets_um = [], []
    for cell in cells:
        one = fields.get(cell.field_index)
        if one is None or one.stage_um is None or cell.stage_um is None:
            continue
        x1, y1, x2, y2 = cell.box_px
        offsets_px.append(((x1 + x2 - (one.width_px or 0)) / 2, (y1 + y2 - (one.height_px or 0)) / 2))
        offsets_um.append((cell.stage_um[0] - one.stage_um[0], cell.stage_um[1] - one.stage_um[1]))
    if len(offsets_px) < 2:
        return None
    px, um = np.array(offsets_px), np.array(offsets_um)
    spread = np.linalg.svd(px, compute_uv=False)
    if spread[-1] < _TURNED_ENOUGH * spread[0]:
        return None
    (a, c), (b, d) = np.linalg.lstsq(px, um, rcond=None)[0]
    return (float(a), float(b)), (float(c), float(d))
