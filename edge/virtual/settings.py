"""Settings of a virtual slide."""

import math
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from edge.contracts.base import Strict
from edge.contracts.cells import CELLS, INDEX

UM_PER_PX = 0.13
"""Scale of the virtual slide; the reference's fields have it too."""

FIELD_WIDTH_PX = 732
FIELD_HEIGHT_PX = 574
FIELD_AREA_UM2 = FIELD_WIDTH_PX * FIELD_HEIGHT_PX * UM_PER_PX**2
"""The field that densities are quoted for."""

NORMAL_MIX: dict[str, float] = {
    "blast": 0.2,
    "promyelocyte": 0.2,
    "myelocyte": 0.4,
    "metamyelocyte": 0.5,
    "neutrophil_band": 4.0,
    "neutrophil_segmented": 56.0,
    "lymphocyte": 28.0,
    "monocyte": 6.5,
    "eosinophil": 2.7,
    "basophil": 0.6,
    "lymphocyte_reactive": 0.9,
    "nrbc": 0.4,
    "platelet_giant": 2.0,
    "smudge": 3.0,
    "artefact": 3.0,
}
"""A normal adult differential with a few abnormal cells; the leukocytes sum to 100, the others are per 100 leukocytes."""

CELL_SPACING_UM = 11.0
"""Centres of labelled cells are never nearer than this; larger neighbours touch or overlap a little."""

MOST_CROWDED = 0.85
"""Density times the area of a circle of `CELL_SPACING_UM`; towards 1 a hard-core arrangement has no room left."""

Level = Annotated[float, Field(ge=0.0, le=2.0)]


class SlideSettings(Strict):
    """One slide. Equal settings give the same slide, pixel for pixel."""

    seed: int = Field(0, ge=0, lt=2**63)
    wbc_per_field_mean: float = Field(0.16, ge=0.0, le=6.0, description="leukocytes per 732x574 field; 0.16 is 7e9 WBC/L")
    class_mix: dict[str, Annotated[float, Field(ge=0.0)]] = Field(
        default_factory=lambda: dict(NORMAL_MIX), description="weight per class; those left out do not occur"
    )
    rbc_per_field_mean: float = Field(90.0, ge=0.0, le=220.0)
    platelets_per_field_mean: float = Field(4.0, ge=0.0, le=60.0)
    variants: int = Field(12, ge=1, le=64, description="painted cells per class; turning and mirroring makes eight of each")
    stain_variation: Level = Field(1.0, description="0: one fixed stain; 1: the spread between laboratories")
    vignetting: Level = Field(1.0, description="0: even light; 1: corners up to 15 % darker")
    blur_px: float = Field(0.5, ge=0.0, le=5.0, description="standard deviation of the blur every field has")
    defocus_px: float = Field(0.5, ge=0.0, le=5.0, description="spread of the further blur that differs between fields")
    noise: Level = Field(1.0, description="1: standard deviation of 2 grey levels")

    @field_validator("class_mix")
    @classmethod
    def _usable(cls, mix: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(mix) - set(INDEX))
        if unknown:
            raise ValueError(f"unknown classes {unknown}; the classes are {list(INDEX)}")
        wbc = sum(weight for name, weight in mix.items() if CELLS[INDEX[name]].is_wbc)
        if wbc <= 0 or wbc < 0.02 * sum(mix.values()):
            raise ValueError("the mix needs at least 2 % leukocytes, because density is given per leukocyte")
        return mix

    @model_validator(mode="after")
    def _room(self) -> "SlideSettings":
        crowding = self.cells_per_um2() * math.pi * CELL_SPACING_UM**2
        if crowding > MOST_CROWDED:
            cells = MOST_CROWDED / (math.pi * CELL_SPACING_UM**2) * FIELD_AREA_UM2
            raise ValueError(
                f"more than {cells:.0f} labelled cells of all classes per field do not fit; lower wbc_per_field_mean"
            )
        return self

    def weights(self) -> list[float]:
        """Probability of each class in the order of `CELLS`; they sum to 1."""
        total = sum(self.class_mix.values())
        return [self.class_mix.get(cell.name, 0.0) / total for cell in CELLS]

    def cells_per_um2(self) -> float:
        """Density of labelled cells of all classes."""
        wbc = sum(weight for weight, cell in zip(self.weights(), CELLS, strict=True) if cell.is_wbc)
        return self.wbc_per_field_mean / wbc / FIELD_AREA_UM2
