"""Average precision drawn: curves by class (the reference's Fig. 7), bars over the abnormal classes (its Fig. 10)."""

from collections.abc import Sequence

import cv2
import numpy as np
from markupsafe import Markup

from edge.contracts.cells import CELLS
from trainer.evaluation.summary import ClassFigures, CurvePoints
from trainer.reporting.document import Cell, Section, Table, drawing
from trainer.reporting.formatting import FEW, figure, in_words, listed, unknown
from trainer.reporting.report_sources import MeasuredRun, Reference

LEFT, TOP, SIDE = 26.0, 34.0, 160.0
"""Where the unit square lies in the drawing, in its own units."""

TOLERANCE = 0.4
"""Points nearer than this to the line through their neighbours are left out (Douglas and Peucker 1973); a line is 2 wide."""

N_COLOURS = 8
"""Colours, each with a dash of its own, in the style sheet."""


def curves(runs: Sequence[MeasuredRun]) -> Section:
    """One drawing per class that any run knows. The circle is where the model works, at its thresholds."""
    truths = {cell.name: sum(dict(run.truths).get(cell.name, 0) for run in runs) for cell in CELLS}
    legend = [{"name": run.name, "colour": k % N_COLOURS} for k, run in enumerate(runs)]
    drawings = [drawing("legend.svg", rows=legend, alt="Which line is which: " + ", ".join(run.name for run in runs))]
    drawings += [_panel(name, runs) for name, truth in truths.items() if truth]
    words = [
        "Precision against recall as the score falls. The circle marks the thresholds the model works at.",
        "All curves are ours: of the reference's there are no points to draw, only their AP, beside ours under its Table 1.",
        unknown([name for name, truth in truths.items() if not truth], all(run.held_back for run in runs)),
    ]
    if len(runs) > N_COLOURS:
        words.append(f"After {N_COLOURS} models colours repeat; report fewer at once to tell the lines apart.")
    title = "Precision and recall"
    return Section(title, tuple(filter(None, words)), (), tuple(map(Markup, drawings)))


def _panel(name: str, runs: Sequence[MeasuredRun]) -> str:
    lines, notes, truths = [], [], set()
    for k, run in enumerate(runs):
        row = run.summary.classes.get(name)
        if row is None or not row.truth:
            continue
        truths.add(row.truth)
        lines.append({"path": path_of(row.curve) if row.curve else "", "point": _point(row), "colour": k % N_COLOURS})
        notes.append(f"{run.name}: AP {figure(row.ap)} from {row.truth} cells")
    few = " (weak)" if min(truths) < FEW else ""
    counts = " or ".join(map(str, sorted(truths)))
    subtitle = f"{counts} cell{'' if truths == {1} else 's'}{few}"
    if len(runs) == 1:
        subtitle += f", AP {figure(runs[0].summary.classes[name].ap)}"
    alt = f"Precision against recall, {in_words(name)}. {'; '.join(notes)}."
    return drawing("curve.svg", title=in_words(name), subtitle=subtitle, alt=alt, lines=lines)


def path_of(curve: CurvePoints) -> str:
    """SVG path data through the points that matter, in the drawing's units."""
    if not curve.recall:
        return ""
    recall, precision = (np.asarray(values, np.float32) for values in (curve.recall, curve.precision))
    points = np.stack([LEFT + SIDE * recall, TOP + SIDE * (1 - precision)], axis=1)
    kept = cv2.approxPolyDP(points[:, None], TOLERANCE, closed=False)[:, 0]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept.tolist())


def _point(row: ClassFigures) -> tuple[float, float] | None:
    if row.recall is None or row.precision is None:
        return None
    return LEFT + SIDE * row.recall, TOP + SIDE * (1 - row.precision)


def abnormal(runs: Sequence[MeasuredRun], reference: Reference) -> Section:
    """Mean AP over the abnormal classes."""
    rows = [
        {"name": _name(run), "value": run.summary.abnormal.map, "text": _text(run.summary.abnormal.map), "look": "ours"}
        for run in runs
    ] + [
        {"name": f"{reference.short}, {name}", "value": value, "text": _text(value), "look": ""}
        for name, value in reference.abnormal.mean_ap.items()
    ]
    alt = "Bars of mean average precision: " + "; ".join(f"{row['name']} {row['text']}" for row in rows)
    table = Table(
        "Mean AP over the abnormal classes",
        (Cell("system"), Cell("mean AP")),
        tuple((Cell(str(row["name"]), str(row["look"])), Cell(str(row["text"]))) for row in rows),
    )
    words = f"The mean is over {listed([in_words(name) for name in reference.abnormal.classes])}."
    own = [f"{run.name}: {run.summary.abnormal.words}" for run in runs if run.summary.abnormal.words]
    bars = Markup(drawing("bars.svg", rows=rows, alt=alt))
    return Section("Beside the reference: abnormal cells (its Fig. 10)", (words, *own), (table,), (bars,))


def _text(value: float | None) -> str:
    return "nothing known" if value is None else figure(value)


def _name(run: MeasuredRun) -> str:
    """With what its mean is over: behind the bar there is no room for it."""
    own = run.summary.abnormal
    if own.map is None:
        return run.name
    known = [truth for name, truth in run.truths if own.ap.get(name) is not None]
    cells = f"{sum(known)} cells{', weak' if min(known, default=0) < FEW else ''}"
    return f"{run.name} ({len(known)} of {len(own.classes)} classes, {cells})"
