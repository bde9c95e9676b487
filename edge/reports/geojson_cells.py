"""Cells as GeoJSON in the shape that QuPath reads: a FeatureCollection of closed polygons with a classification each.

QuPath takes coordinates as pixels of the image that is open. In `px` that is a picture of the whole slide whose top left corner
is that of all fields, at the run's um/px; in `um` it is the same place in micrometres. Of one field, or where no field says
where it lies, coordinates are pixels of the field itself.
"""

import colorsys
import json
from collections.abc import Iterator
from typing import Any, Literal

from edge.contracts.cells import CELLS
from edge.reports.run_report import Box, Report, ReportedCell, ReportedField
from edge.reports.slide_layout import Point, SlideLayout, layout_of

Unit = Literal["px", "um"]
_GREY = [110, 110, 110]
_COLOURS = {
    cell.name: [round(255 * part) for part in colorsys.hsv_to_rgb((0.08 + at * 0.618034) % 1.0, 0.85, 0.72)]
    for at, cell in enumerate(CELLS)
}
"""Red, green, blue of each class; neighbours in the table are far apart on the circle of hues."""


def geojson_of(report: Report, unit: Unit, only_field: int | None = None) -> str:
    """The file: one feature for each cell that counts, as it is called now, and one for each field that was imaged.

    `only_field` gives the cells of one field, further views included, in its own pixels.
    """
    layout = layout_of(report) if only_field is None else None
    features = [*_fields(report, layout, unit), *_cells(report, layout, unit, only_field)]
    return json.dumps({"type": "FeatureCollection", "features": features}) + "\n"


def coordinates_of(report: Report, unit: Unit, only_field: int | None = None) -> str:
    """What its coordinates are, in one sentence."""
    if only_field is not None:
        return f"coordinates are pixels of field {only_field}."
    layout = layout_of(report)
    if layout is None:
        return "no field says where on the slide it lies: coordinates are pixels of each cell's own field; --field gives one."
    (x_um, y_um), pixel_um = layout.origin_um, layout.pixel_um
    what = f"pixels of {pixel_um:.6g} um" if unit == "px" else "micrometres"
    return f"coordinates are {what} from the corner of all fields, which is at x {x_um:.3f} um, y {y_um:.3f} um of the stage."


def _fields(report: Report, layout: SlideLayout | None, unit: Unit) -> Iterator[dict[str, Any]]:
    if layout is None:
        return
    for one in report.fields:
        if one.stage_um is None or not one.width_px or not one.height_px:
            continue
        corners = _scaled(layout.corners_um(one, (0, 0, one.width_px, one.height_px)), layout, unit)
        yield _feature(
            f"field {one.field_index}", corners, "annotation", {"field_index": one.field_index, "status": one.status.value}
        )


def _cells(report: Report, layout: SlideLayout | None, unit: Unit, only_field: int | None) -> Iterator[dict[str, Any]]:
    fields = {one.field_index: one for one in report.fields}
    for cell in report.cells:
        one = fields[cell.field_index]
        wanted = cell.counts if only_field is None else cell.field_index == only_field and not one.replaced
        if not wanted or cell.label_now is None:
            continue
        if layout is None or one.stage_um is None:
            if layout is not None:
                continue  # it lies nowhere on the picture
            corners = _upright(cell.box_px)
        else:
            corners = _scaled(layout.corners_um(one, cell.box_px), layout, unit)
        yield _cell_feature(cell, one, corners)


def _cell_feature(cell: ReportedCell, one: ReportedField, corners: list[Point]) -> dict[str, Any]:
    label = cell.label_now or cell.label
    reviewed = "added" if cell.added else "yes" if cell.judgement else "no"
    more = {
        "classification": {"name": label, "color": _COLOURS.get(label, _GREY)},
        "measurements": {"score": cell.score, "presence": cell.presence, "margin": cell.margin},
        "metadata": {"source_name": one.source_name, "called": "" if cell.added else cell.label, "reviewed": reviewed},
        "field_index": cell.field_index,
    }
    return _feature(cell.id, corners, "detection", more)


def _feature(name: str, corners: list[Point], kind: str, more: dict[str, Any]) -> dict[str, Any]:
    ring = [[round(x, 3), round(y, 3)] for x, y in (*corners, corners[0])]
    properties = {"objectType": kind, "name": name, "isLocked": True, **more}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}


def _scaled(corners: list[Point], layout: SlideLayout, unit: Unit) -> list[Point]:
    by = 1.0 if unit == "um" else 1 / layout.pixel_um
    return [(x * by, y * by) for x, y in corners]


def _upright(box: Box) -> list[Point]:
    x1, y1, x2, y2 = box
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
