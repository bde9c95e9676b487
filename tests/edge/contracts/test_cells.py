"""The class table is the reference's: Wang et al., PLoS ONE 14(6): e0218808, 2019."""

from edge.contracts.cells import CELLS, INDEX, N_CLASSES, N_WBC

REFERENCE = (
    ("blast", "Blast", True),
    ("promyelocyte", "PRO", True),
    ("myelocyte", "MYE", True),
    ("metamyelocyte", "MET", True),
    ("neutrophil_band", "bNEU", True),
    ("neutrophil_segmented", "sNEU", True),
    ("lymphocyte", "LYM", True),
    ("monocyte", "MON", True),
    ("eosinophil", "EO", True),
    ("basophil", "BA", True),
    ("lymphocyte_reactive", "rLYM", True),
    ("nrbc", None, False),
    ("platelet_giant", None, False),
    ("smudge", None, False),
    ("artefact", None, False),
)
"""Name, the reference's abbreviation where it gives one, leukocyte or not; in the reference's order."""


def test_names_abbreviations_and_order_are_the_references() -> None:
    assert tuple((cell.name, cell.abbreviation, cell.is_wbc) for cell in CELLS) == tuple(
        (name, abbreviation or name, is_wbc) for name, abbreviation, is_wbc in REFERENCE
    )


def test_sizes_and_index_follow_from_the_table() -> None:
    assert (N_CLASSES, N_WBC) == (15, 11)
    assert [CELLS[INDEX[name]].name for name, _, _ in REFERENCE] == [name for name, _, _ in REFERENCE]


def test_only_leukocytes_are_immature() -> None:
    assert {cell.name for cell in CELLS if cell.is_immature} == {"blast", "promyelocyte", "myelocyte", "metamyelocyte"}
