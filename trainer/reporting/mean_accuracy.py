"""Mean accuracy over the classes that all systems have: the means of the single-cell matrices are over different ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trainer.evaluation.summary import Confusion
from trainer.reporting.formatting import figure, in_words, listed
from trainer.reporting.measured_run import Run
from trainer.reporting.reference import Matrix, Reference
from trainer.reporting.section import Cell, Table


@dataclass(frozen=True, slots=True)
class _System:
    """`shares` is the diagonal: of each class with truth, the share called so."""

    name: str
    shares: Mapping[str, float]
    mean: float | None
    cells: int
    look: str


def mean_accuracy(runs: Sequence[Run], reference: Reference) -> Table:
    """Ours first. A model that met no single-cell image has dashes and takes no class from the others."""
    systems = [_own(run.name, run.summary.confusion) for run in runs]
    systems += [_published(matrix, reference) for matrix in reference.confusion]
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


def _own(name: str, matrix: Confusion) -> _System:
    rows = zip(matrix.classes, matrix.shares, strict=True)
    shares = {true: row[matrix.columns.index(true)] for true, row in rows if row is not None}
    return _System(name, shares, matrix.mean_accuracy, matrix.n, "ours")


def _published(matrix: Matrix, reference: Reference) -> _System:
    shares = {name: matrix.rows[k][k] for k, name in enumerate(reference.classes)}
    return _System(f"{reference.short}: {matrix.name}", shares, matrix.mean_accuracy, reference.cell_images, "")


def _left_out(systems: Sequence[_System], shared: Sequence[str], reference: Reference) -> str:
    """Which classes the common mean lacks and why; empty when it has them all."""
    unseen = [in_words(name) for name in reference.classes if name not in shared]
    foreign = dict.fromkeys(in_words(name) for one in systems for name in one.shares if name not in reference.classes)
    parts = [f"{listed(unseen)}, for want of single-cell images"] if unseen else []
    parts += [f"{listed(list(foreign))}, which the reference does not have"] if foreign else []
    return f"Left out of the mean over the classes all have: {'; '.join(parts)}." if parts else ""
