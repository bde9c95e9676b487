"""A part of a profile is added to what is there: which profile, which camera, and names that are free."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from os.path import realpath  # a loop of links is an error of Path.resolve
from pathlib import Path

from edge.camera.frame import SourceInfo
from edge.contracts.errors import ProfileError
from edge.contracts.profile import CameraGeometry, Profile, load_profile

_PIXELS_UM = 0.01, 10.0
"""Half of the finest that oil immersion and small pixels give, and more than a loupe gives: beyond it a unit is wrong."""


def is_microscope_scale(um_per_px: float) -> bool:
    """Whether it can be one; a table in millimetres gives a thousandth, one in nanometres a thousand times."""
    return _PIXELS_UM[0] <= um_per_px <= _PIXELS_UM[1]


@dataclass(frozen=True, slots=True)
class Before:
    """The profile so far, or how a new one is to be named."""

    profile: Profile | None
    path: Path | None
    instrument: str
    objective: str | None

    @property
    def um_per_px(self) -> float | None:
        """Of a profile that knows it."""
        size = self.profile.pixel_size if self.profile is not None else None
        return size.um_per_px if size is not None else None

    def of_camera(self, info: SourceInfo) -> Profile:
        """The profile so far, held against the camera that was measured, or a new one. Raises `ProfileError`."""
        serial = info.camera.get("serial")
        if self.profile is None:
            camera = CameraGeometry(width_px=info.width_px, height_px=info.height_px, serial=serial, objective=self.objective)
            return Profile(instrument=self.instrument, camera=camera)
        camera = self.profile.camera
        if (camera.width_px, camera.height_px) != (info.width_px, info.height_px):
            raise ProfileError(
                f"profile {self.path} is of a camera with {camera.width_px} x {camera.height_px} px and these fields are "
                f"{info.width_px} x {info.height_px} px; take them as you scan, without binning or a region of interest."
            )
        if None not in (serial, camera.serial) and serial != camera.serial:
            raise ProfileError(
                f"profile {self.path} is of camera {camera.serial} and these fields are of camera {serial}; give this camera's "
                "profile, or leave --profile out and begin one."
            )
        if serial is not None and camera.serial is None:
            # From now on another camera is refused.
            return self.profile.model_copy(update={"camera": camera.model_copy(update={"serial": serial})})
        return self.profile


def begun_or_read(profile: Path | None, instrument: str, objective: str | None) -> Before:
    """Raises `ProfileError` for a profile that cannot be read."""
    return Before(load_profile(profile)[0] if profile is not None else None, profile, instrument, objective)


def require_free(out: Path, picture: Path, picture_was_named: bool) -> None:
    """Raises `ProfileError` when the profile is there already, or a picture that nobody named is."""
    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    if realpath(picture) == realpath(out) or (not picture_was_named and picture.exists()):
        raise ProfileError(f"the picture would overwrite {picture}; name another file with --picture.")


def dates(valid_days: int) -> tuple[str, str]:
    """Now, and when what is measured now expires; ISO 8601 in UTC."""
    now = datetime.now(timezone.utc)
    return now.isoformat(timespec="seconds"), (now + timedelta(days=valid_days)).isoformat(timespec="seconds")
