"""Plots as SVG text, for pages that are complete in one file: bars, lines, and a table of coloured cells."""

import math
from collections.abc import Sequence
from html import escape
from itertools import cycle

_WIDTH_PX = 760
_LEFT_PX, _RIGHT_PX = 250, 90
_BAR_PX, _GAP_PX = 18, 6
_COLOURS = ("#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f", "#97266d", "#2c7a7b", "#4a5568")
_HEIGHT_PX = 320
_MARGIN_PX = 60


def bars(rows: Sequence[tuple[str, float, float]], unit: str) -> str:
    """Name, value and an end of a thin line on top (such as its p99), longest line to the right border."""
    longest = max((max(value, line) for _, value, line in rows), default=1.0) or 1.0
    scale = (_WIDTH_PX - _LEFT_PX - _RIGHT_PX) / longest
    parts = []
    for nth, (name, value, line) in enumerate(rows):
        top = nth * (_BAR_PX + _GAP_PX)
        middle = top + _BAR_PX / 2
        parts.append(_text(_LEFT_PX - 8, middle + 4, name, "end"))
        parts.append(f'<rect x="{_LEFT_PX}" y="{top}" width="{value * scale:.1f}" height="{_BAR_PX}" fill="{_COLOURS[0]}"/>')
        parts.append(_line(_LEFT_PX, middle, _LEFT_PX + line * scale, middle, "#1a202c"))
        parts.append(_text(_LEFT_PX + max(value, line) * scale + 6, middle + 4, f"{value:.2f} {unit}", "start"))
    return _svg(len(rows) * (_BAR_PX + _GAP_PX), parts)


def lines(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_title: str, y_title: str) -> str:
    """Series of (x, y) points over a logarithmic x and a y from 0; each with its name."""
    points = [point for _, each in series for point in each]
    if not points:
        return ""
    xs, top = [math.log10(x) for x, _ in points], max(y for _, y in points) or 1.0
    first, span = min(xs), (max(xs) - min(xs)) or 1.0
    width = _WIDTH_PX - 2 * _MARGIN_PX - 120

    def at(x: float, y: float) -> tuple[float, float]:
        across = _MARGIN_PX + (math.log10(x) - first) / span * width
        return across, _HEIGHT_PX - _MARGIN_PX - y / top * (_HEIGHT_PX - 2 * _MARGIN_PX)

    base = _HEIGHT_PX - _MARGIN_PX
    parts = [
        _line(_MARGIN_PX, base, _MARGIN_PX + width, base, "#718096"),
        _line(_MARGIN_PX, _MARGIN_PX, _MARGIN_PX, base, "#718096"),
    ]
    for x in sorted({x for x, _ in points}):
        parts.append(_text(at(x, 0)[0], base + 16, f"{x:g}", "middle"))
    for share in (0.0, 0.5, 1.0):
        parts.append(_text(_MARGIN_PX - 6, at(10**first, share * top)[1] + 4, f"{share * top:.3g}", "end"))
    parts += [_text(_MARGIN_PX + width / 2, base + 38, x_title, "middle"), _text(_MARGIN_PX, _MARGIN_PX - 14, y_title, "start")]
    for nth, ((name, each), colour) in enumerate(zip(series, cycle(_COLOURS), strict=False)):
        placed = [at(x, y) for x, y in each]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        parts.append(_text(_MARGIN_PX + width + 14, _MARGIN_PX + 18 * nth, name, "start", colour))
    return _svg(_HEIGHT_PX, parts)


def _svg(height_px: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH_PX} {height_px:.0f}" width="{_WIDTH_PX}" height="{height_px:.0f}" role="img" '
        f'font-family="sans-serif" font-size="12">{"".join(parts)}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#1a202c") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
