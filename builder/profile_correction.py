"""Images as an instrument's profile shows them to a model: light and colours corrected, its thresholds, and their names."""

from dataclasses import dataclass
from pathlib import Path

from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.errors import ProfileError
from edge.pipeline.field_correction import correction_for
from edge.settings.resolution import resolve


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run with this profile does before and after the engine. `correction` is None where the profile holds none that
    this bundle can use."""

    thresholds: Thresholds
    profile_sha256: str
    width_px: int
    height_px: int
    um_per_px: float | None
    correction: Correction | None
    warnings: tuple[str, ...]

    @property
    def said(self) -> str:
        """For reports."""
        correction = self.correction
        if correction is None:
            return "not corrected: the profile has neither light nor colours that this bundle can use"
        parts = [
            "light" if correction.light_sha256 else "",
            f"colours by {correction.colour_name}" if correction.colour_name else "",
        ]
        return f"corrected for {' and '.join(part for part in parts if part)}"


def seen_by(profile: Path, bundle: Bundle) -> Seen:
    """Raises `ProfileError` for a profile that the edge would refuse with this bundle."""
    setup = resolve({"source": "images", "bundle": bundle.path, "profile": profile})
    if setup.profile_sha256 is None or setup.profile_camera is None or setup.settings.thresholds is None:
        raise ProfileError(f"profile {profile} could not be read; write one with `leuko-calib pixel-size`.")
    camera = setup.profile_camera
    return Seen(
        thresholds=setup.settings.thresholds,
        profile_sha256=setup.profile_sha256,
        width_px=camera.width_px,
        height_px=camera.height_px,
        um_per_px=setup.settings.um_per_px,
        correction=correction_for(setup),
        warnings=setup.warnings,
    )
