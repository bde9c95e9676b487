"""Whether a model knows what it does not know: cells of classes that it was taught, and of classes that it never saw."""

from collections.abc import Collection, Sequence

import numpy as np

from edge.contracts.cells import NAMES
from trainer.evaluation.cell_verdicts import MISSED_COLUMN, UNIDENTIFIED_COLUMN, exact_limits
from trainer.evaluation.summary import Confusion, Teaching, Verdicts


def teaching_of(confusion: Confusion, taught: Collection[str]) -> Teaching:
    """`confusion` is of every typed cell."""
    known = tuple(name for name in NAMES if name in taught)
    others = tuple(name for name in NAMES if name not in taught)
    untaught = _verdicts(confusion, others)
    called = {name: _called(confusion.columns, confusion.counts[NAMES.index(name)]) for name in untaught.classes}
    return Teaching(taught=_verdicts(confusion, known), untaught=untaught, called=called)


def _called(columns: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    pairs = sorted(zip(columns, counts, strict=True), key=lambda pair: -pair[1])
    return {column: count for column, count in pairs if count}


def _verdicts(confusion: Confusion, names: tuple[str, ...]) -> Verdicts:
    counts = np.array(confusion.counts)
    rows = [NAMES.index(name) for name in names if counts[NAMES.index(name)].any()]
    cells, missed = int(counts[rows].sum()), int(counts[rows, MISSED_COLUMN].sum())
    right, unidentified = int(counts[rows, rows].sum()), int(counts[rows, UNIDENTIFIED_COLUMN].sum())
    found = cells - missed
    low, high = exact_limits(right + unidentified, found)
    return Verdicts(
        classes=tuple(NAMES[row] for row in rows),
        cells=cells,
        found=found,
        right=right,
        unidentified=unidentified,
        called_another=found - right - unidentified,
        right_or_unidentified=(right + unidentified) / found if found else None,
        low=low,
        high=high,
    )
