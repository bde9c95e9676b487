"""The differential: each leukocyte class as a share of all leukocytes, with exact limits."""

from collections.abc import Mapping

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.records import Differential, DifferentialRow
from edge.counting.binomial import clopper_pearson

WBC_LABELS: tuple[str, ...] = (*(cell.name for cell in CELLS if cell.is_wbc), UNIDENTIFIED)
NON_WBC_LABELS: tuple[str, ...] = (*(cell.name for cell in CELLS if not cell.is_wbc), UNIDENTIFIED_NON_WBC)


def wbc_total(cells: Mapping[str, int]) -> int:
    """Leukocytes among counts per label, `unidentified` ones included."""
    return sum(cells.get(label, 0) for label in WBC_LABELS)


def differential(cells: Mapping[str, int]) -> Differential:
    """The differential of counts per label, rows in the order of the class table, classes without a cell included.

    Without a leukocyte there is no differential: `rows` and `non_wbc_per_100_wbc` are empty.
    """
    total = wbc_total(cells)
    if total == 0:
        return Differential(wbc_total=0, rows=(), non_wbc_per_100_wbc={})
    per_100 = {label: 100.0 * cells[label] / total for label in NON_WBC_LABELS if cells.get(label)}
    return Differential(
        wbc_total=total,
        rows=tuple(_row(label, cells.get(label, 0), total) for label in WBC_LABELS),
        non_wbc_per_100_wbc=per_100,
    )


def _row(label: str, count: int, total: int) -> DifferentialRow:
    low, high = clopper_pearson(count, total)
    return DifferentialRow(
        label=label, count=count, percent=100.0 * count / total, low_percent=100.0 * low, high_percent=100.0 * high
    )
