"""One instrument's calibration, written by `leuko-calib`, read by the edge; versioned and hashed."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import Field

from edge.contracts.base import Sha256, Strict, parse_json
from edge.contracts.bundle import Thresholds
from edge.contracts.errors import ProfileError


class PixelSize(Strict):
    """um/px of a field and how it was measured."""

    um_per_px: float = Field(gt=0, le=10)
    uncertainty_um_per_px: float = Field(ge=0, description="standard error of the estimate")
    line_spacing_um: float = Field(gt=0, description="known pitch of the stage micrometer")
    lines_found: int = Field(ge=3)
    image_sha256: Sha256
    measured_at: str = Field(description="ISO 8601 wall time, a label only")


class CameraGeometry(Strict):
    """What the camera delivers."""

    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)
    serial: str | None = None
    objective: str | None = None


class BundleThresholds(Strict):
    """Thresholds found on this instrument; they hold for one bundle only."""

    bundle_id: Sha256
    thresholds: Thresholds


class FocusRange(Strict):
    """Where this instrument's fields are in focus, and the sharpness below which they are not (`edge.quality.focus_score`)."""

    peak_z_um: float = Field(description="height of the sharpest image, in the stack's own coordinate")
    usable_um: tuple[float, float] = Field(description="lowest and highest height that is sharp enough")
    peak_score: float = Field(gt=0)
    min_score: float = Field(gt=0, description="below it a field is out of focus")
    residual: float = Field(ge=0, description="root mean square off the parabola around the peak, in log score")
    planes: int = Field(ge=1)
    images_sha256: Sha256 = Field(description="hash of the files' hashes, lowest first")
    measured_at: str = Field(description="ISO 8601 wall time, a label only")


class Profile(Strict):
    """The content of a profile file (JSON)."""

    schema_version: Literal[1] = 1
    instrument: str
    camera: CameraGeometry
    pixel_size: PixelSize
    thresholds: BundleThresholds | None = None
    focus: FocusRange | None = None


def load_profile(path: Path | str) -> tuple[Profile, str]:
    """Read a profile; returns it with the SHA-256 of its bytes. Raises `ProfileError`."""
    try:
        content = Path(path).read_bytes()
    except OSError as problem:
        raise ProfileError(
            f"profile {path} cannot be read ({problem.strerror}); write one with `leuko-calib pixel-size`."
        ) from problem
    return parse_json(Profile, content, path, ProfileError), hashlib.sha256(content).hexdigest()


def write_profile(path: Path, profile: Profile) -> str:
    """Write a profile and return the SHA-256 of its bytes."""
    content = (profile.model_dump_json(indent=1) + "\n").encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()
