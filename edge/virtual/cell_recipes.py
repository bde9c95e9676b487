"""What each cell looks like on a Wright-Giemsa smear, as data: sizes in micrometres, amounts of the four dyes."""

from dataclasses import dataclass, field
from typing import Literal

from edge.virtual.shapes import NucleusKind

Dyes = tuple[float, float, float, float]
"""Amounts of haemoglobin/eosin, purple, blue, granule eosin."""

Grain = Literal["fine", "medium", "coarse"]


@dataclass(frozen=True, slots=True)
class Granules:
    """Granules of one kind. `over_nucleus` also places them on the nucleus; `cover` is how opaque one is."""

    per_um2: tuple[float, float]
    radius_um: tuple[float, float]
    dyes: Dyes
    over_nucleus: bool = False
    cover: float = 0.9


@dataclass(frozen=True, slots=True)
class Recipe:
    """One class. Pairs are ranges that each cell draws from.

    `nucleus_share` is nucleus over cell diameter; `offset_share` how far out of the centre it may lie, of the room it has.
    `hof` pales the cytoplasm beside the nucleus, `rim` darkens the cell's border with blue. `scallops` are dents that
    neighbouring red cells press into the border; `fringe` are short cytoplasmic projections.
    """

    diameter_um: tuple[float, float]
    nuclei: tuple[NucleusKind, ...]
    nucleus_share: tuple[float, float]
    chromatin: tuple[float, float]
    clumping: float
    grain: Grain
    cytoplasm: Dyes
    offset_share: float = 0.5
    nucleoli: tuple[int, int] = (0, 0)
    mottling: float = 0.12
    hof: float = 0.0
    rim: float = 0.0
    irregularity: float = 0.04
    elongation: tuple[float, float] = (1.0, 1.12)
    scallops: tuple[int, int] = (0, 0)
    fringe: float = 0.0
    vacuoles: tuple[int, int] = (0, 0)
    granules: tuple[Granules, ...] = field(default=())


_AZUROPHIL: Dyes = (0.15, 0.85, 0.0, 0.35)
_SPECIFIC: Dyes = (0.35, 0.28, 0.0, 0.10)
_EOSINOPHIL: Dyes = (0.35, 0.10, 0.0, 1.00)
_BASOPHIL: Dyes = (0.0, 1.20, 0.30, 0.0)

RECIPES: dict[str, Recipe] = {
    "blast": Recipe(
        (13.0, 19.0),
        ("round", "oval", "round"),
        (0.78, 0.90),
        (0.74, 0.96),
        0.17,
        "fine",
        (0.0, 0.10, 0.62, 0.0),
        nucleoli=(1, 4),
        mottling=0.10,
        rim=0.18,
        irregularity=0.05,
    ),
    "promyelocyte": Recipe(
        (15.0, 21.0),
        ("round", "oval"),
        (0.60, 0.74),
        (0.78, 1.00),
        0.20,
        "medium",
        (0.05, 0.16, 0.55, 0.0),
        offset_share=0.85,
        nucleoli=(0, 2),
        hof=0.45,
        rim=0.15,
        granules=(Granules((0.35, 0.9), (0.13, 0.27), _AZUROPHIL, over_nucleus=True, cover=0.85),),
    ),
    "myelocyte": Recipe(
        (12.0, 17.5),
        ("oval", "round"),
        (0.56, 0.70),
        (0.84, 1.06),
        0.24,
        "medium",
        (0.10, 0.18, 0.26, 0.0),
        offset_share=0.9,
        hof=0.20,
        rim=0.08,
        mottling=0.22,
        granules=(
            Granules((0.8, 1.6), (0.10, 0.17), _SPECIFIC, cover=0.6),
            Granules((0.02, 0.15), (0.13, 0.22), _AZUROPHIL, over_nucleus=True, cover=0.7),
        ),
    ),
    "metamyelocyte": Recipe(
        (12.0, 16.0),
        ("kidney",),
        (0.66, 0.80),
        (0.90, 1.12),
        0.28,
        "coarse",
        (0.18, 0.14, 0.08, 0.0),
        offset_share=0.7,
        mottling=0.22,
        granules=(Granules((0.8, 1.7), (0.10, 0.17), _SPECIFIC, cover=0.6),),
    ),
    "neutrophil_band": Recipe(
        (11.5, 15.0),
        ("band",),
        (0.72, 0.86),
        (0.95, 1.18),
        0.28,
        "coarse",
        (0.20, 0.11, 0.03, 0.0),
        offset_share=0.5,
        mottling=0.24,
        granules=(Granules((0.9, 1.9), (0.10, 0.17), _SPECIFIC, cover=0.6),),
    ),
    "neutrophil_segmented": Recipe(
        (11.5, 15.0),
        ("segmented",),
        (0.72, 0.88),
        (0.98, 1.22),
        0.28,
        "coarse",
        (0.20, 0.11, 0.02, 0.0),
        offset_share=0.5,
        mottling=0.24,
        granules=(Granules((0.9, 1.9), (0.10, 0.17), _SPECIFIC, cover=0.6),),
    ),
    "lymphocyte": Recipe(
        (7.8, 11.5),
        ("round", "round", "oval", "kidney"),
        (0.82, 0.95),
        (0.98, 1.22),
        0.22,
        "coarse",
        (0.0, 0.06, 0.48, 0.0),
        offset_share=0.9,
        irregularity=0.05,
        fringe=0.04,
        granules=(Granules((0.0, 0.03), (0.15, 0.25), _AZUROPHIL),),
    ),
    "monocyte": Recipe(
        (14.0, 20.0),
        ("folded", "kidney", "folded"),
        (0.66, 0.80),
        (0.80, 1.02),
        0.26,
        "medium",
        (0.06, 0.15, 0.30, 0.0),
        offset_share=0.5,
        mottling=0.22,
        irregularity=0.08,
        elongation=(1.0, 1.3),
        vacuoles=(0, 9),
        granules=(Granules((0.3, 1.0), (0.08, 0.14), (0.05, 0.45, 0.1, 0.1), cover=0.5),),
    ),
    "eosinophil": Recipe(
        (12.0, 16.0),
        ("bilobed", "bilobed", "bilobed", "segmented"),
        (0.74, 0.88),
        (0.94, 1.16),
        0.26,
        "coarse",
        (0.25, 0.06, 0.05, 0.35),
        offset_share=0.7,
        mottling=0.18,
        granules=(Granules((2.0, 2.8), (0.24, 0.40), _EOSINOPHIL, cover=0.75),),
    ),
    "basophil": Recipe(
        (10.0, 14.0),
        ("bilobed", "kidney", "segmented"),
        (0.80, 0.95),
        (0.70, 0.92),
        0.22,
        "medium",
        (0.12, 0.20, 0.10, 0.0),
        irregularity=0.06,
        mottling=0.25,
        granules=(Granules((1.2, 2.8), (0.20, 0.42), _BASOPHIL, over_nucleus=True, cover=0.8),),
    ),
    "lymphocyte_reactive": Recipe(
        (13.0, 20.0),
        ("oval", "kidney", "round"),
        (0.54, 0.70),
        (0.84, 1.06),
        0.24,
        "medium",
        (0.0, 0.06, 0.52, 0.0),
        offset_share=0.6,
        hof=0.25,
        rim=0.40,
        irregularity=0.09,
        elongation=(1.0, 1.35),
        scallops=(1, 4),
        nucleoli=(0, 1),
        vacuoles=(0, 2),
        granules=(Granules((0.0, 0.05), (0.15, 0.25), _AZUROPHIL),),
    ),
    "nrbc": Recipe(
        (7.8, 11.5),
        ("round",),
        (0.42, 0.64),
        (1.25, 1.55),
        0.14,
        "coarse",
        (0.55, 0.08, 0.28, 0.0),
        offset_share=0.8,
        mottling=0.06,
        irregularity=0.05,
    ),
}
"""The cells with a nucleus; platelets, smudges and artefacts have painters of their own."""
