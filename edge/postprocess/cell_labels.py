"""The label a cell is counted under."""

from collections import Counter

from edge.contracts.cells import CELLS, UNIDENTIFIED, UNIDENTIFIED_NON_WBC
from edge.contracts.detections import Cells


def label_of(cells: Cells, index: int) -> str:
    """Class name of cell `index`, or which kind of unidentified it is, after its most likely class."""
    cell = CELLS[int(cells.classes[index])]
    if cells.identified[index]:
        return cell.name
    return UNIDENTIFIED if cell.is_wbc else UNIDENTIFIED_NON_WBC


def field_counts(cells: Cells) -> dict[str, int]:
    """Cells per label in one field; labels without a cell are left out."""
    return dict(Counter(label_of(cells, index) for index in range(len(cells))))
