"""How a run with a profile shows an instrument's fields to a model: light and colours corrected, and at which thresholds."""

from dataclasses import dataclass
from pathlib import Path

from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle, Thresholds
from edge.contracts.choices import Correct
from edge.contracts.colours import COLOUR_TRANSFORM
from edge.contracts.errors import DataError
from edge.contracts.profile import CameraGeometry, Profile
from edge.pipeline.field_correction import correction_of
from edge.settings.profile_layer import layer_of


@dataclass(frozen=True, slots=True)
class Shown:
    """`thresholds` are the profile's where they were found on such fields of this bundle, else the bundle's for such fields;
    `colour_transform` is how colours are moved, None where they are not; `warnings` are what a run would warn of."""

    camera: CameraGeometry
    correction: Correction | None
    thresholds: Thresholds
    colour_transform: str | None
    warnings: tuple[str, ...]

    @property
    def said(self) -> str:
        """What fields look like, as the end of a sentence."""
        parts = [f"moved in colour by {self.colour_transform}"] if self.colour_transform else []
        parts += ["evened out in light"] if self.correction is not None and self.correction.shade is not None else []
        return " and ".join(parts) or "as the camera gives them"

    def require_size(self, name: str, width_px: int, height_px: int) -> None:
        """Raises `DataError` for an image of which nobody knows which part of the measured light it shows."""
        camera = self.camera
        is_whole = (width_px, height_px) == (camera.width_px, camera.height_px)
        if is_whole or self.correction is None or self.correction.shade is None:
            return
        raise DataError(
            f"{name} is {width_px} x {height_px} px and the light of the profile is of {camera.width_px} x {camera.height_px} "
            "px, so that nobody knows which part of it the image shows; give whole fields of this camera."
        )


def shown_by(profile: Profile, path: Path, bundle: Bundle, correct: Correct = "profile") -> Shown:
    """Raises `ProfileError` for a profile that the edge would refuse with this bundle."""
    layer = layer_of(profile, bundle, path, correct)
    return Shown(
        camera=profile.camera,
        correction=correction_of(layer.light, layer.colours, bundle),
        thresholds=Thresholds.model_validate(layer.values["thresholds"]),
        colour_transform=COLOUR_TRANSFORM if layer.colours is not None else None,
        warnings=tuple(layer.warnings),
    )
