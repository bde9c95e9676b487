"""A model beside the one whose weights it started from, on the same held-back images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from edge.contracts.base import Strict
from edge.contracts.cells import CELLS
from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.evaluation.average_precision import FALSE, Ints, leukocyte_curve, optional_labels
from trainer.evaluation.cell_verdicts import truth_rows
from trainer.evaluation.detect import IS_WBC, ImageResult, results_of, true_wbc
from trainer.evaluation.summary import Figure
from trainer.evaluation.target import Target

Marks = NDArray[np.bool_]

NOISE_AP = 0.002
"""A smaller fall is arithmetic: half precision alone does that."""

CHANCE = 0.05
FEW_CELLS = 30
"""Held-back leukocytes below which no figure means much."""


class Side(Strict):
    """One model's figures. `typed`: of the leukocytes whose type is known, the share found and rightly called; `false` are
    counted leukocytes that nobody annotated."""

    ap: Figure
    found: int
    typed_right: int
    counted: int
    false: int


class Comparison(Strict):
    """`gained` and `lost`: annotated leukocytes that only the new, only the old model finds and calls as far as is known.

    `not_shown`: types of which no held-back image has a cell. `worse` holds a phrase for each thing that is worse.
    """

    images: int
    leukocytes: int
    typed: int
    before: Side
    after: Side
    gained: int
    lost: int
    not_shown: tuple[str, ...]
    worse: tuple[str, ...]


def compare(parent: Target, child: Target, rows: Sequence[Annotation]) -> Comparison:
    """Both models on `rows`, by the edge's own way, each at its thresholds. Raises as `results_of` does."""
    return compare_results(list(results_of(parent, rows)), list(results_of(child, rows)))


def compare_results(before: Sequence[ImageResult], after: Sequence[ImageResult]) -> Comparison:
    """What two models found on the same images, in the same order."""
    rows = [result.annotation for result in before]
    old, new = _right(before), _right(after)
    sides = _side(before), _side(after)
    gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
    labels = np.concatenate([row.labels for row in rows]) if rows else np.zeros(0, np.int32)
    shown = {*labels.tolist(), *(NEUTROPHILS if UNTYPED_NEUTROPHIL in labels else ())}
    return Comparison(
        images=len(rows),
        leukocytes=sum(true_wbc(row) for row in rows),
        typed=int(_has_type(labels).sum()),
        before=sides[0],
        after=sides[1],
        gained=gained,
        lost=lost,
        not_shown=tuple(cell.name for index, cell in enumerate(CELLS) if cell.is_wbc and index not in shown),
        worse=tuple(_worse(*sides, gained, lost)),
    )


def as_lines(compared: Comparison, parent: str) -> list[str]:
    """What is said of it, a line each."""
    before, after = compared.before, compared.after
    n, typed = compared.leukocytes, compared.typed
    rows = [
        ("AP, any leukocyte", _figure(before.ap), _figure(after.ap)),
        (f"found, of {n}", str(before.found), str(after.found)),
        (f"found and rightly typed, of {typed}", str(before.typed_right), str(after.typed_right)),
        (f"counted, where the annotation has {n}", str(before.counted), str(after.counted)),
        ("counted falsely", str(before.false), str(after.false)),
    ]
    width = max(len(row[0]) for row in rows)
    lines = [f"on {compared.images} held-back images".ljust(width) + "   before    after"]
    lines += [f"{name.ljust(width)}  {one:>7}  {other:>7}" for name, one, other in rows]
    lines.append(f"{compared.gained} cells are right that were not, and {compared.lost} are no longer right.")
    if n < FEW_CELLS:
        lines.append(f"{n} held-back leukocytes are too few for such figures to mean much; annotate more slides.")
    if compared.not_shown:
        lines.append(f"No held-back image shows {', '.join(compared.not_shown)}: what became of them is not known.")
    if compared.worse:
        lines.append(f"WORSE than its parent {parent}: {'; '.join(compared.worse)}. Keep the parent, or annotate more images.")
    return lines


def _worse(before: Side, after: Side, gained: int, lost: int) -> list[str]:
    found = []
    if before.ap is not None and (after.ap or 0) < before.ap - NOISE_AP:
        found.append(f"AP of any leukocyte {_figure(before.ap)} before, {_figure(after.ap)} now")
    if lost > gained:
        found.append(f"{lost} cells are lost and {gained} gained")
    # One false cell more or less is chance; what no chance explains is not.
    more = after.false - before.false
    if more > 0 and binomtest(after.false, after.false + before.false, 0.5, "greater").pvalue < CHANCE:
        found.append(f"{before.false} leukocytes counted falsely before, {after.false} now")
    return found


def _right(results: Sequence[ImageResult]) -> Marks:
    """[cells] for each annotated leukocyte, whether it was found and, as far as its type is known, rightly called."""
    return np.concatenate([_verdicts(result)[1] for result in results]) if results else np.zeros(0, bool)


def _verdicts(result: ImageResult) -> tuple[Marks, Marks, Marks]:
    """[m] bool of the annotated leukocytes: found; found and rightly called; of known type."""
    labels, rows = result.annotation.labels, truth_rows(result)
    mine = np.flatnonzero(is_leukocyte(labels))
    found = np.isin(mine, rows)
    cells: dict[int, int] = {int(row): k for k, row in enumerate(rows) if row >= 0}
    right = np.array([row in cells and agrees(result, cells[row], int(labels[row])) for row in mine.tolist()], bool)
    return found, right.reshape(-1), _has_type(labels)[mine]


def agrees(result: ImageResult, cell: int, truth: int) -> bool:
    """Whether counted cell number `cell` is called what `truth` says, as far as it says so."""
    return likeliest_agrees(result, cell, truth) and (truth == UNTYPED_WBC or bool(result.counted.identified[cell]))


def likeliest_agrees(result: ImageResult, cell: int, truth: int) -> bool:
    """The same of its likeliest class, even where it stays `unidentified`."""
    called = int(result.counted.classes[cell])
    if truth == UNTYPED_WBC:
        return bool(IS_WBC[called])
    return called == truth or truth in optional_labels(called)


def is_leukocyte(labels: Ints) -> Marks:
    """[n] bool of an image's labels, typed or not."""
    return np.array([label != IGNORE and (label < 0 or CELLS[label].is_wbc) for label in labels.tolist()], bool)


def _has_type(labels: Ints) -> Marks:
    """Neutrophils of which nobody said band or segmented have one, too: they can be rightly or wrongly called."""
    return np.asarray(is_leukocyte(labels) & ((labels >= 0) | (labels == UNTYPED_NEUTROPHIL)), np.bool_)


def _side(results: Sequence[ImageResult]) -> Side:
    verdicts = [_verdicts(result) for result in results]
    false = sum(int((IS_WBC[r.counted.classes] & (truth_rows(r) == FALSE)).sum()) for r in results)
    return Side(
        ap=leukocyte_curve([result.cells for result in results]).ap,
        found=sum(int(found.sum()) for found, _, _ in verdicts),
        typed_right=sum(int((right & known).sum()) for _, right, known in verdicts),
        counted=sum(result.counted_wbc for result in results),
        false=false,
    )


def _figure(value: Figure) -> str:
    return "no truth" if value is None else f"{value:.3f}"
