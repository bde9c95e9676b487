"""How a camera lies over its stage, and how exactly the stage goes where it is told."""

import math

from pydantic import Field, field_validator

from edge.contracts.base import Fraction, Sha256
from edge.contracts.colours import Dated

Row = tuple[float, float]
PerAxis = tuple[float, float]
MaybePerAxis = tuple[float | None, float | None]


class MeasuredStage(Dated):
    """From images of a grid of moves. Axes are the stage's own, x then y; a position is that of the image's centre.

    What lies at pixel p of an image taken at stage position s lies at s + `um_per_px` (p - centre), with p = (x, y), x to the
    right, y down, and the centre at half the image's width and height.
    """

    um_per_px: tuple[Row, Row] = Field(description="matrix: first row stage x, second row stage y; columns image x and y")
    affine_error_nm: float = Field(ge=0, description="standard error of the matrix, as rms distance over a field")
    sigma_um: PerAxis = Field(description="standard deviation of positions, once backlash is taken out, by axis")
    repeatability_um: MaybePerAxis = Field(
        (None, None), description="standard deviation between visits to one position; null where none was visited often enough"
    )
    backlash_um: MaybePerAxis = Field(
        (None, None),
        description="position reached falling less that reached rising: above 0, the stage falls short after it turns; null "
        "where it came from one side alone",
    )
    residual_nm: float = Field(ge=0, description="rms distance between where images are and where they should be")
    agreement: Fraction = Field(description="share of recognised pairs of images that agree with one matrix")
    images: int = Field(ge=4)
    pairs: int = Field(ge=3, description="of overlapping images, that were used")
    source: str = Field(description="what was read")
    images_sha256: Sha256 = Field(description="hash of the files' hashes, in the order of the moves")
    moves_sha256: Sha256 = Field(description="of the table of positions")

    @field_validator("um_per_px")
    @classmethod
    def _can_be_turned_back(cls, matrix: tuple[Row, Row]) -> tuple[Row, Row]:
        (a, b), (c, d) = matrix
        if not all(map(math.isfinite, (a, b, c, d))) or abs(a * d - b * c) < 1e-12:
            raise ValueError("`um_per_px` is a matrix that leads to every place of the stage; measure it again")
        return matrix

    @field_validator("sigma_um")
    @classmethod
    def _is_a_length(cls, sigma_um: PerAxis) -> PerAxis:
        if not all(0 <= value < math.inf for value in sigma_um):
            raise ValueError("`sigma_um` is two lengths, not below 0")
        return sigma_um

    @property
    def pixel_um(self) -> float:
        """Side of a pixel: the root of its area on the stage."""
        (a, b), (c, d) = self.um_per_px
        return math.sqrt(abs(a * d - b * c))

    def place_um(self, stage_um: tuple[float, float], from_centre_px: tuple[float, float]) -> tuple[float, float]:
        """Stage position of what lies so far from the centre of an image taken at `stage_um`."""
        (a, b), (c, d) = self.um_per_px
        x_px, y_px = from_centre_px
        return stage_um[0] + a * x_px + b * y_px, stage_um[1] + c * x_px + d * y_px
