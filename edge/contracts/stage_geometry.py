"""How a camera lies over its stage, and how exactly the stage goes where it is told: measured, and as a run uses it."""

import math

from pydantic import Field, field_validator

from edge.contracts.base import Fraction, Sha256, Wire
from edge.contracts.colours import Dated

Row = tuple[float, float]
PerAxis = tuple[float, float]
Position = tuple[int, int]
"""Of the stage, in nm."""
MaybePerAxis = tuple[float | None, float | None]

MIN_TOLERANCE_UM = 3.0
"""Two views of one cell are never taken for two when they are closer than this; leukocytes are at least 8 um across."""
_SIGMAS = 3.0


class StageGeometry(Wire):
    """How a run's images lie on the stage: what lies at pixel p of an image taken at stage position s lies at
    s + `um_per_px` (p - centre), with p = (x, y), x to the right, y down, and the centre at half the image's width and height.
    """

    um_per_px: tuple[Row, Row] = Field(description="matrix: first row stage x, second row stage y; columns image x and y")
    sigma_um: float = Field(0.0, ge=0, description="standard deviation of a position, of the worse axis; 0: nobody knows")

    @classmethod
    def upright(cls, um_per_px: float) -> "StageGeometry":
        """A camera whose images are not turned: x of the stage to the right, y down."""
        return cls(um_per_px=((um_per_px, 0.0), (0.0, um_per_px)))

    @classmethod
    def of(cls, stage: "MeasuredStage | None", um_per_px: float) -> "StageGeometry":
        """As the profile has it, for images of this scale: it says how they are turned, and how far a position may be off."""
        if stage is None:
            return cls.upright(um_per_px)
        (a, b), (c, d) = stage.um_per_px
        by = um_per_px / stage.pixel_um
        return cls(um_per_px=((a * by, b * by), (c * by, d * by)), sigma_um=max(stage.sigma_um))

    @property
    def pixel_um(self) -> float:
        """Side of a pixel: the root of its area on the stage."""
        return _side_um(self.um_per_px)

    @property
    def tolerance_um(self) -> float:
        """The larger of 3 um and three sigma of the difference of two positions."""
        return max(MIN_TOLERANCE_UM, _SIGMAS * math.sqrt(2) * self.sigma_um)

    def seen_from_camera_um(self, stage_nm: Position) -> tuple[float, float]:
        """A position of the stage along the image's axes."""
        (a, b), (c, d) = self.um_per_px
        x_um, y_um = stage_nm[0] / 1e3, stage_nm[1] / 1e3
        scale = self.pixel_um / (a * d - b * c)
        return (d * x_um - b * y_um) * scale, (a * y_um - c * x_um) * scale

    def on_stage_nm(self, stage_nm: Position, from_centre_px: tuple[float, float]) -> Position:
        """Where on the stage what lies so far from an image's centre is."""
        x_um, y_um = moved(self.um_per_px, (0.0, 0.0), from_centre_px)
        return stage_nm[0] + round(1e3 * x_um), stage_nm[1] + round(1e3 * y_um)


def _side_um(um_per_px: tuple[Row, Row]) -> float:
    (a, b), (c, d) = um_per_px
    return math.sqrt(abs(a * d - b * c))


def moved(
    um_per_px: tuple[Row, Row], stage_um: tuple[float, float], from_centre_px: tuple[float, float]
) -> tuple[float, float]:
    """Stage position of what lies so far from the centre of an image taken at `stage_um`."""
    (a, b), (c, d) = um_per_px
    x_px, y_px = from_centre_px
    return stage_um[0] + a * x_px + b * y_px, stage_um[1] + c * x_px + d * y_px


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
        return _side_um(self.um_per_px)

    def place_um(self, stage_um: tuple[float, float], from_centre_px: tuple[float, float]) -> tuple[float, float]:
        """Stage position of what lies so far from the centre of an image taken at `stage_um`."""
        return moved(self.um_per_px, stage_um, from_centre_px)
