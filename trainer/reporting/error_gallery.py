"""The worst errors: cut from the images where those are at hand, else as a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from trainer.evaluation.summary import Miss
from trainer.reporting.cell_crop import Cutter
from trainer.reporting.formatting import NONE, figure, in_words, with_article
from trainer.reporting.measured_run import Run
from trainer.reporting.section import Cell, Gallery, Picture, Section, Table

MAX_PICTURES = 12
"""Per run and kind of error: a page of a dozen runs still opens on a phone."""

Kind = Literal["missed", "wrong type", "false alarm"]
EXPLAINED: dict[Kind, str] = {
    "missed": "annotated, and not found at the model's thresholds.",
    "wrong type": "found, and called another class.",
    "false alarm": "found where nothing is annotated.",
}


def misses(runs: Sequence[Run], root: Path | None) -> Section:
    """Raises `DataError` for an image that is not under `root` or cannot be read."""
    legend = "Blue, solid: as annotated. Orange, dashed: what the model found. Both on one box: found, of the wrong type."
    left_out = "Pictures were left out: give the folder of the images as --root."
    tables: list[Table] = []
    galleries: list[Gallery] = []
    for run in runs:
        if not run.summary.missed:
            continue
        if root is None:
            tables.append(_table(run))
        else:
            galleries += _galleries(run, Cutter(root))
    nothing = [f"{run.name}: no error is recorded." for run in runs if not run.summary.missed]
    words = [legend if root else left_out, *nothing] if len(nothing) < len(runs) else nothing
    return Section("The worst errors", tuple(words), tuple(tables), (), tuple(galleries))


def said(miss: Miss) -> str:
    """One error as a sentence."""
    score = "" if miss.score is None else f" (score {miss.score:.2f})"
    truth = with_article(miss.truth or "cell")
    if miss.kind == "missed":
        candidate = f"; the best candidate was {with_article(miss.predicted)}{score}" if miss.predicted else ""
        return f"{truth[0].upper()}{truth[1:]}, not found{candidate}."
    called = with_article(miss.predicted or "cell")
    if miss.kind == "wrong type":
        return f"{truth[0].upper()}{truth[1:]}, called {called}{score}."
    return f"Nothing is annotated; called {called}{score}."


def _galleries(run: Run, cutter: Cutter) -> list[Gallery]:
    found = []
    for kind in get_args(Kind):
        rows = [miss for miss in run.summary.missed if miss.kind == kind]
        shown = tuple(_picture(miss, cutter) for miss in rows[:MAX_PICTURES])
        more = f" The worst {len(shown)} of {len(rows)} recorded." if len(rows) > len(shown) else ""
        if shown:
            words = EXPLAINED[kind]
            found.append(Gallery(f"{run.name}: {kind}", words[0].upper() + words[1:] + more, shown))
    return found


def _picture(miss: Miss, cutter: Cutter) -> Picture:
    cut = cutter.cut(miss.image, miss.box_px)
    return Picture(
        cut.jpeg,
        cut.width_px,
        cut.height_px,
        None if miss.kind == "false alarm" else cut.box_px,
        None if miss.kind == "missed" else cut.box_px,
        said(miss),
        f"{miss.source}: {miss.image}",
    )


def _table(run: Run) -> Table:
    rows = tuple(
        (
            Cell(miss.image),
            Cell(miss.kind),
            Cell(in_words(miss.truth) if miss.truth else NONE),
            Cell(in_words(miss.predicted) if miss.predicted else NONE),
            Cell(figure(miss.score, 2)),
            Cell(", ".join(f"{side:.0f}" for side in miss.box_px)),
        )
        for miss in run.summary.missed
    )
    head = tuple(map(Cell, ("image", "error", "annotated as", "called", "score", "x1, y1, x2, y2 in px")))
    return Table(f"{run.name}: recorded errors, worst first", head, rows)
