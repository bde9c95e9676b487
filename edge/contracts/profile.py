"""One instrument's calibration, written by `leuko-calib`, read by the edge; versioned and hashed."""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from edge.contracts.base import Count, Fraction, Sha256, Strict, parse_json
from edge.contracts.bundle import Thresholds
from edge.contracts.colours import MeasuredColours, MeasuredLight
from edge.contracts.errors import ProfileError
from edge.contracts.latency import MeasuredLatency
from edge.contracts.stage_geometry import MeasuredStage
from edge.contracts.whole_file import SMALL_BYTES, read_whole, write_whole


class PixelSize(Strict):
    """um/px of a field and how it was measured."""

    um_per_px: float = Field(gt=0, le=10)
    uncertainty_um_per_px: float = Field(ge=0, description="standard error of the estimate")
    line_spacing_um: float | None = Field(None, gt=0, description="known pitch of the stage micrometer; null: stage moves")
    lines_found: int | None = Field(None, ge=3)
    stage_pairs: int | None = Field(None, ge=1, description="pairs of images between which the stage moved; null: a micrometer")
    image_sha256: Sha256 = Field(description="of the image, or of the images' hashes in their order")
    measured_at: str = Field(description="ISO 8601 wall time, a label only")


class CameraGeometry(Strict):
    """What the camera delivers."""

    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    serial: str | None = None
    objective: str | None = None


Knot = tuple[Fraction, Fraction]


class MeasuredShare(Strict):
    """A share of labelled cells, with 95 % limits from resampling whole slides or originals."""

    hits: Count
    trials: Count
    low: Fraction | None = None
    high: Fraction | None = None


class ThresholdEvidence(Strict):
    """What the thresholds were chosen on. Shares are of cells that the choice did not see (whole groups left out in turn)."""

    labels_sha256: Sha256
    images: Count
    groups: Count
    precision_floor: Fraction
    typed_precision_floor: Fraction
    shares: dict[str, MeasuredShare] = Field(description="recall, precision, typed_recall, typed_precision")
    too_few: tuple[str, ...] = Field((), description="classes with too few cells to choose for; the bundle's own values stay")
    not_reached: tuple[str, ...] = Field((), description="classes that no threshold makes precise enough; likewise")
    calibration: Literal["none", "temperature", "isotonic"] | None = Field(
        None, description="how scores became probabilities; `none`: no curve was better than the scores themselves"
    )
    calibration_error: tuple[float, float] | None = Field(None, description="expected, before and after")
    engine: str = Field(description="what computed the scores")
    measured_at: str = Field(description="ISO 8601 wall time, a label only")


class BundleThresholds(Strict):
    """Thresholds found on this instrument; they hold for one bundle, and for fields in the colours they were found on."""

    bundle_id: Sha256
    colour_transform: str | None = Field(None, description="how colours were moved to the bundle's; null: they were not")
    thresholds: Thresholds
    probability: tuple[Knot, ...] = Field(
        (), description="rising class scores, and how likely a cell of that score is what it is called; straight lines between"
    )
    evidence: ThresholdEvidence | None = None

    @field_validator("probability")
    @classmethod
    def _rises(cls, knots: tuple[Knot, ...]) -> tuple[Knot, ...]:
        if any(after[0] <= before[0] or after[1] < before[1] for before, after in pairwise(knots)) or len(knots) == 1:
            raise ValueError("`probability` is at least two pairs whose scores rise and whose probabilities do not fall")
        return knots


FOCUS_METRIC: Literal[2] = 2
"""The sharpness that `edge.quality.focus_score` measures; 1 rose with the camera's noise. Numbers of the two do not compare."""


class FocusRange(Strict):
    """Where this instrument's fields are in focus, and the sharpness below which they are not (`edge.quality.focus_score`)."""

    metric: Literal[1, 2] = Field(1, description="which sharpness the scores are; 1, as where it is missing, rose with noise")
    peak_z_um: float = Field(description="height of the sharpest image, in the stack's own coordinate")
    usable_um: tuple[float, float] = Field(description="lowest and highest height that is sharp enough")
    peak_score: float = Field(gt=0)
    min_score: float = Field(gt=0, description="below it a field is out of focus")
    residual: float = Field(ge=0, description="root mean square off the parabola around the peak, in log score")
    planes: int = Field(ge=1)
    images_sha256: Sha256 = Field(description="hash of the files' hashes, lowest first")
    measured_at: str = Field(description="ISO 8601 wall time, a label only")

    @property
    def compares(self) -> bool:
        """Whether a field's sharpness of today may be held against these scores."""
        return self.metric == FOCUS_METRIC


class Profile(Strict):
    """The content of a profile file (JSON)."""

    schema_version: Literal[1] = 1
    instrument: str
    camera: CameraGeometry
    pixel_size: PixelSize | None = None
    thresholds: BundleThresholds | None = None
    focus: FocusRange | None = None
    illumination: MeasuredLight | None = None
    colours: MeasuredColours | None = None
    stage: MeasuredStage | None = None
    latency: MeasuredLatency | None = None

    @property
    def measured_scale(self) -> PixelSize:
        """Raises `ProfileError` when none was measured."""
        if self.pixel_size is None:
            raise ProfileError(f"the profile of {self.instrument} has no um/px; measure it with `leuko-calib pixel-size`.")
        return self.pixel_size


def part_sha256(part: Strict) -> str:
    """Hex SHA-256 of one part of a profile, as it is written."""
    return hashlib.sha256(part.model_dump_json().encode()).hexdigest()


def load_profile(path: Path | str) -> tuple[Profile, str]:
    """Read a profile; returns it with the SHA-256 of its bytes. Raises `ProfileError`."""
    try:
        content = read_whole(Path(path), SMALL_BYTES)
    except OSError as problem:
        raise ProfileError(
            f"profile {path} cannot be read ({problem.strerror}); write one with `leuko-calib pixel-size`."
        ) from problem
    return parse_json(Profile, content, path, ProfileError), hashlib.sha256(content).hexdigest()


def write_profile(path: Path, profile: Profile) -> str:
    """Write a profile and return the SHA-256 of its bytes."""
    content = (profile.model_dump_json(indent=1) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
    return hashlib.sha256(content).hexdigest()
