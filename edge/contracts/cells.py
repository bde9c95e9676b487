"""The 15 cell classes of the reference (Wang et al., PLoS ONE 2019), in its order.

The index of a class in `CELLS` is the label in the graph's output, in label files and in a bundle's class table.
"""

from typing import NamedTuple


class Cell(NamedTuple):
    """One class. `abbreviation` is the reference's; classes it does not abbreviate carry their name."""

    name: str
    abbreviation: str
    is_wbc: bool
    is_immature: bool = False


CELLS: tuple[Cell, ...] = (
    Cell("blast", "Blast", True, True),
    Cell("promyelocyte", "PRO", True, True),
    Cell("myelocyte", "MYE", True, True),
    Cell("metamyelocyte", "MET", True, True),
    Cell("neutrophil_band", "bNEU", True),
    Cell("neutrophil_segmented", "sNEU", True),
    Cell("lymphocyte", "LYM", True),
    Cell("monocyte", "MON", True),
    Cell("eosinophil", "EO", True),
    Cell("basophil", "BA", True),
    Cell("lymphocyte_reactive", "rLYM", True),
    Cell("nrbc", "nrbc", False),
    Cell("platelet_giant", "platelet_giant", False),
    Cell("smudge", "smudge", False),
    Cell("artefact", "artefact", False),
)

N_CLASSES = len(CELLS)
N_WBC = sum(cell.is_wbc for cell in CELLS)
INDEX: dict[str, int] = {cell.name: index for index, cell in enumerate(CELLS)}
NAMES: tuple[str, ...] = tuple(cell.name for cell in CELLS)

UNIDENTIFIED = "unidentified"
"""Count key of a leukocyte whose class is not certain; it stays in the differential's denominator."""

UNIDENTIFIED_NON_WBC = "unidentified_non_wbc"
"""Count key of a cell, most likely no leukocyte, whose class is not certain."""
