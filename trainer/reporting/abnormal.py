"""Mean average precision over the classes that healthy blood hardly shows (the reference's Fig. 10)."""

from collections.abc import Sequence

from markupsafe import Markup

from trainer.reporting.formatting import FEW, figure, in_words, listed
from trainer.reporting.measured_run import Run
from trainer.reporting.reference import Reference
from trainer.reporting.rendering import drawing
from trainer.reporting.section import Cell, Section, Table


def abnormal(runs: Sequence[Run], reference: Reference) -> Section:
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
    return Section(
        "Abnormal cells (the reference's Fig. 10)", (words, *own), (table,), (Markup(drawing("bars.svg", rows=rows, alt=alt)),)
    )


def _text(value: float | None) -> str:
    return "nothing known" if value is None else figure(value)


def _name(run: Run) -> str:
    """With what its mean is over: behind the bar there is no room for it."""
    own = run.summary.abnormal
    if own.map is None:
        return run.name
    known = [truth for name, truth in run.truths if own.ap.get(name) is not None]
    cells = f"{sum(known)} cells{', weak' if min(known, default=0) < FEW else ''}"
    return f"{run.name} ({len(known)} of {len(own.classes)} classes, {cells})"
