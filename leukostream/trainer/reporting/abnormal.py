"""Mean average precision over the classes that healthy blood hardly shows (the reference's Fig. 10)."""

from collections.abc import Sequence

from markupsafe import Markup

from leukostream.trainer.reporting.page import drawing
from leukostream.trainer.reporting.reference import Reference
from leukostream.trainer.reporting.run import Run
from leukostream.trainer.reporting.section import Cell, Section, Table
from leukostream.trainer.reporting.words import FEW, in_words, listed


def abnormal(runs: Sequence[Run], reference: Reference) -> Section:
    """Mean AP over the abnormal classes."""
    rows = [
        {"name": run.name, "value": run.summary.abnormal.map, "text": _abnormal_words(run), "look": "ours"} for run in runs
    ] + [
        {"name": f"{reference.short}, {name}", "value": value, "text": f"{value:.3f}", "look": ""}
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
    return Section(
        "Abnormal cells (the reference's Fig. 10)", (words, *own), (table,), (Markup(drawing("bars.svg", rows=rows, alt=alt)),)
    )


def _abnormal_words(run: Run) -> str:
    own = run.summary.abnormal
    if own.map is None:
        return "nothing known"
    known = [truth for name, truth in run.truths if own.ap.get(name) is not None]
    cells = f"{sum(known)} cells{', weak' if min(known, default=0) < FEW else ''}"
    return f"{own.map:.3f} ({len(known)} of {len(own.classes)} classes, {cells})"
