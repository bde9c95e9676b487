"""What a virtual scan can be told, beside its slide and faults: the options of `leuko-edge scan`.

It stands alone, so that they can be listed without a slide or a socket being loaded.
"""

from typing import Literal

from pydantic import Field

from edge.contracts.base import Strict


class ScanOptions(Strict):
    """Stage and camera of the virtual scanner, and when it stops."""

    target: int = Field(200, ge=1, le=100_000, description="stop when so many leukocytes are final")
    fields: int | None = Field(None, ge=1, le=100_000, description="fields of the area; enough for the target when not set")
    order: Literal["snake", "rows", "random"] = Field("snake", description="in which fields are visited")
    repeatability_um: float = Field(0.5, ge=0, le=20, description="largest error of a position by chance, each axis")
    backlash_um: float = Field(0.5, ge=0, le=20, description="how far a position reached falling lies above one reached rising")
    settle_ms: float = Field(150.0, ge=0, le=10_000, description="settle time of the stage")
    exposure_ms: float = Field(2.0, gt=0, le=1000, description="how long the shutter is open")
    first_frame_id: int = Field(1, ge=1, le=65535, description="where the camera's counter begins: 1 follows after 65535")
    rate: float = Field(0.0, ge=0, le=1000, description="fields per second; 0: as fast as there is credit")
