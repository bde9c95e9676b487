"""The drawings of a report, as SVG text: shares of classes with their limits, and the fields where they lie on the slide."""

from collections.abc import Collection, Sequence
from html import escape

from edge.contracts.records import Differential, FieldStatus
from edge.reports.run_report import ReportedField

_ROW, _LEFT, _WIDTH, _RIGHT = 24, 180, 420, 190
_MAP_WIDTH, _MAP_HEIGHT = 760.0, 420.0
_MOST_FIELDS = 20_000
"""Drawn one by one; a browser still shows that many shapes."""
_FILL = {
    FieldStatus.OK: "#5b8def",
    FieldStatus.EMPTY: "#dfe5ee",
    FieldStatus.LOST: "#222222",
    FieldStatus.INCOMPLETE: "#b35c00",
    FieldStatus.FAILED: "#c62828",
    FieldStatus.TIMEOUT: "#7b1fa2",
    FieldStatus.SKIPPED: "#9e9e9e",
}
"""Of a field with leukocytes the more of them the darker; every other end has a colour of its own."""
_HATCH = (
    '<defs><pattern id="gap" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="#fff"/><rect width="2" height="6" fill="#b8860b"/></pattern></defs>'
)
_WBC = ("#9db9f5", "#5b8def", "#2f62c9", "#173a85")


def class_bars(differential: Differential) -> str:
    """A bar for each class of the differential, and a line from its lower to its upper 95 % limit."""
    rows = differential.rows
    if not rows:
        return "<p>No leukocyte was counted, so there is no differential.</p>"
    height = _ROW * len(rows) + 26
    parts = [_open(_LEFT + _WIDTH + _RIGHT, height, "share of each class with its 95 % limits")]
    for tick in (0, 25, 50, 75, 100):
        x = _LEFT + _WIDTH * tick / 100
        parts.append(f'<line x1="{x:g}" x2="{x:g}" y1="0" y2="{height - 22}" class="grid"/>')
        parts.append(f'<text x="{x:g}" y="{height - 6}" text-anchor="middle">{tick} %</text>')
    for at, row in enumerate(rows):
        y = at * _ROW
        low, high, share = (_LEFT + _WIDTH * value / 100 for value in (row.low_percent, row.high_percent, row.percent))
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 16}" text-anchor="end">{escape(row.label.replace("_", " "))}</text>',
            f'<rect x="{_LEFT}" y="{y + 4}" width="{share - _LEFT:.2f}" height="16" class="bar"/>',
            f'<path d="M{low:.2f} {y + 7}v10M{low:.2f} {y + 12}H{high:.2f}M{high:.2f} {y + 7}v10" class="limits"/>',
            f'<text x="{_LEFT + _WIDTH + 10}" y="{y + 16}">{row.count}: {row.percent:.1f} % '
            f"({row.low_percent:.1f} to {row.high_percent:.1f})</text>",
        ]
    return "".join([*parts, "</svg>"])


def field_map(fields: Sequence[ReportedField], gaps: Collection[int] = ()) -> str:
    """Every field where it lies on the stage (as the stage counts, y down); without positions in the order of the fields.

    `gaps` are indices of fields of which nothing is known here: hatched, which no field that was seen is.
    """
    if not fields:
        return "<p>The run has no field on record.</p>"
    placed = [one for one in fields if one.stage_um is not None]
    drawn, what = (placed, "by position of the stage") if placed else (list(fields), "no positions are known: in order")
    left_out = len(fields) - len(drawn) + max(0, len(drawn) - _MOST_FIELDS)
    drawn = drawn[:_MOST_FIELDS]
    unknown = [] if placed else sorted(gaps)[: _MOST_FIELDS - len(drawn)]
    shapes = [(one.field_index, _fill(one), 0.35 if one.replaced else 1, _said(one)) for one in drawn]
    shapes += [(index, "url(#gap)", 1, f"field {index}: not heard here, or not ended") for index in unknown]
    if unknown:
        shapes.sort()
    boxes = _on_stage(drawn) if placed else _in_rows(len(shapes))
    x0, y0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
    width, height = max(box[2] for box in boxes) - x0, max(box[3] for box in boxes) - y0
    scale = min(_MAP_WIDTH / width, _MAP_HEIGHT / height)
    parts = [_open(round(width * scale) + 2, round(height * scale) + 2, f"fields, {what}"), _HATCH if unknown else ""]
    for (_, fill, opacity, said), (x1, y1, x2, y2) in zip(shapes, boxes, strict=True):
        x, y = (x1 - x0) * scale + 1, (y1 - y0) * scale + 1
        pale = f' opacity="{opacity:g}"' if opacity < 1 else ""
        parts.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{(x2 - x1) * scale:.2f}" height="{(y2 - y1) * scale:.2f}" '
            f'fill="{fill}" class="field"{pale}><title>{escape(said)}</title></rect>'
        )
    parts.append("</svg>")
    missing = f" {left_out} fields are not drawn." if left_out else ""
    missing += f" {len(unknown)} hatched: not heard here, or not ended." if unknown else ""
    return "".join([*parts, f"<p>{len(drawn)} fields, {what}; darker blue: more leukocytes; pale: replaced.{missing}</p>"])


def ends_legend() -> str:
    """What the colours of `field_map` mean."""
    squares = (f'<span><i style="background:{colour}"></i>{status.value}</span>' for status, colour in _FILL.items())
    return f'<p class="legend">{"".join(squares)}</p>'


def _open(width: float, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}"><title>{escape(title)}</title>'
    )


def _on_stage(fields: Sequence[ReportedField]) -> list[tuple[float, float, float, float]]:
    boxes = []
    for one in fields:
        x_um, y_um = one.stage_um or (0.0, 0.0)
        um = one.um_per_px or 0.13
        half_x, half_y = (one.width_px or 732) * um / 2, (one.height_px or 574) * um / 2
        boxes.append((x_um - half_x, y_um - half_y, x_um + half_x, y_um + half_y))
    return boxes


def _in_rows(n: int) -> list[tuple[float, float, float, float]]:
    columns = max(1, round((n * _MAP_WIDTH / _MAP_HEIGHT) ** 0.5)) if n > 12 else n
    size, gap = 0.9, 1.0
    return [(at % columns * gap, at // columns * gap, at % columns * gap + size, at // columns * gap + size) for at in range(n)]


def _fill(one: ReportedField) -> str:
    if one.status is FieldStatus.OK and one.n_wbc:
        return _WBC[min(one.n_wbc, len(_WBC)) - 1]
    return _FILL[one.status if one.n_cells == 0 or one.status is not FieldStatus.OK else FieldStatus.EMPTY]


def _said(one: ReportedField) -> str:
    name = f" {one.source_name}" if one.source_name else ""
    detail = f": {one.detail}" if one.detail else ""
    bad = f", {', '.join(one.bad)}" if one.bad else ""
    return f"field {one.field_index}{name}, {one.status.value}{bad}, {one.n_wbc} leukocytes of {one.n_cells} cells{detail}"
