"""What is taken for what (the reference's Fig. 8): confusion matrices with tinted cells, and their mean accuracies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from edge.contracts.cells import CELLS
from trainer.evaluation.summary import Confusion
from trainer.reporting.document import Cell, Section, Table
from trainer.reporting.formatting import FEW, NONE, figure, in_words, listed
from trainer.reporting.report_sources import Matrix, MeasuredRun, Reference

SHORT = {cell.name: cell.abbreviation for cell in CELLS} | {
    "nrbc": "NRBC",
    "platelet_giant": "giant PLT",
    "smudge": "smudge",
    "artefact": "artef.",
    "unidentified": "unid.",
}


def confusion(runs: Sequence[MeasuredRun]) -> Section:
    """Single-cell images as the reference tested them, and every cell."""
    tables = []
    for run in runs:
        single, every = run.summary.confusion, run.summary.confusion_all
        alone = single.counts == every.counts
        tables.append(_own(f"{run.name}: images with a single cell{', as all typed cells here are' if alone else ''}", single))
        tables += [] if alone else [_own(f"{run.name}: every typed cell of every image", every)]
    words = (
        "A row is a true class, a column what it was called; figures are shares of the row. In our mean accuracy a cell that "
        "was not found, or whose class was not certain, counts as wrong.",
        "The columns follow the order of the rows, abbreviated as in the reference; unid.: found, its class not certain.",
    )
    return Section("What is taken for what", words, tuple(tables))


def confusion_beside_reference(runs: Sequence[MeasuredRun], reference: Reference) -> Section:
    """The means side by side, then the reference's own matrices."""
    tables = [mean_accuracy(runs, reference), *(_published(matrix, reference) for matrix in reference.confusion)]
    return Section("Beside the reference: what is taken for what (its Fig. 8)", (), tuple(tables))


def _own(caption: str, matrix: Confusion) -> Table:
    rows = []
    for name, counts, shares in zip(matrix.classes, matrix.counts, matrix.shares, strict=True):
        n = sum(counts)
        first = Cell(f"{in_words(name)} ({n})", "weak" if 0 < n < FEW else "")
        cells = [Cell(NONE, "none")] * len(matrix.columns) if shares is None else [_tinted(share) for share in shares]
        rows.append((first, *cells))
    known = sum(shares is not None for shares in matrix.shares)
    accuracy = (
        f"mean accuracy {figure(matrix.mean_accuracy)} over {matrix.n} cells of {classes(known)}"
        if matrix.n
        else "no such cell"
    )
    best = figure(matrix.mean_accuracy_best_class)
    note = f"With the likeliest class taken even where it is not certain, as the reference did: {best}."
    head = (Cell("true class (cells)"), *(Cell(SHORT.get(name, in_words(name))) for name in matrix.columns))
    return Table(f"{caption}: {accuracy}", head, tuple(rows), note if matrix.n else "", "heat")


def _published(matrix: Matrix, reference: Reference) -> Table:
    head = (Cell("true class"), *(Cell(SHORT[name]) for name in reference.classes))
    rows = zip(reference.classes, matrix.rows, strict=True)
    return Table(
        f"{reference.short}, {matrix.name}: mean accuracy {matrix.mean_accuracy:.4f} over {reference.cell_images:,} cells "
        f"of {classes(len(reference.classes))}",
        head,
        tuple((Cell(in_words(name)), *map(_tinted, row)) for name, row in rows),
        f"Source: {reference.source}.",
        "heat",
    )


def _tinted(share: float) -> Cell:
    """Ten steps; a share that is not 0 is never shown as 0."""
    text = "0" if share == 0 else "<.01" if share < 0.005 else f"{share:.2f}"
    return Cell(text, f"h{0 if share == 0 else max(1, round(share * 10))}")


@dataclass(frozen=True, slots=True)
class _System:
    """`shares` is the diagonal: of each class with truth, the share called so."""

    name: str
    shares: Mapping[str, float]
    mean: float | None
    cells: int
    look: str


def mean_accuracy(runs: Sequence[MeasuredRun], reference: Reference) -> Table:
    """Ours first. A model that met no single-cell image has dashes and takes no class from the others."""
    systems = [_own_system(run.name, run.summary.confusion) for run in runs]
    systems += [_published_system(matrix, reference) for matrix in reference.confusion]
    shared = [name for name in reference.classes if all(name in one.shares for one in systems if one.shares)]
    head = ("system", f"over the {classes(len(shared))} all have", "over its own classes", "own classes", "single cells")
    rows = [
        (
            Cell(one.name, one.look),
            Cell(figure(fmean(one.shares[name] for name in shared) if shared and one.shares else None), one.look),
            Cell(figure(one.mean), one.look),
            Cell(str(len(one.shares)), one.look),
            Cell(f"{one.cells:,}", one.look),
        )
        for one in systems
    ]
    caption = "Mean accuracy on images with a single cell, over the same classes"
    return Table(caption, tuple(map(Cell, head)), tuple(rows), _left_out(systems, shared, reference))


def classes(n: int) -> str:
    """`1 class`, `4 classes`."""
    return f"{n} class{'' if n == 1 else 'es'}"


def _own_system(name: str, matrix: Confusion) -> _System:
    rows = zip(matrix.classes, matrix.shares, strict=True)
    shares = {true: row[matrix.columns.index(true)] for true, row in rows if row is not None}
    return _System(name, shares, matrix.mean_accuracy, matrix.n, "ours")


def _published_system(matrix: Matrix, reference: Reference) -> _System:
    shares = {name: matrix.rows[k][k] for k, name in enumerate(reference.classes)}
    return _System(f"{reference.short}: {matrix.name}", shares, matrix.mean_accuracy, reference.cell_images, "")


def _left_out(systems: Sequence[_System], shared: Sequence[str], reference: Reference) -> str:
    """Which classes the common mean lacks and why; empty when it has them all."""
    unseen = [in_words(name) for name in reference.classes if name not in shared]
    foreign = dict.fromkeys(in_words(name) for one in systems for name in one.shares if name not in reference.classes)
    parts = [f"{listed(unseen)}, for want of single-cell images"] if unseen else []
    parts += [f"{listed(list(foreign))}, which the reference does not have"] if foreign else []
    return f"Left out of the mean over the classes all have: {'; '.join(parts)}." if parts else ""
