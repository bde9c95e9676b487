"""Whether a profile is of this camera and objective: a um/px or a flat field of another one would be wrong and look right."""

from pathlib import Path

from edge.camera.frame import SourceInfo
from edge.contracts.errors import ProfileError
from edge.contracts.profile import CameraGeometry


def require_camera(measured: CameraGeometry, source: SourceInfo, path: Path | str | None, objective: str | None = None) -> None:
    """Raises `ProfileError` when the profile at `path` was measured on another camera, with another objective, or on frames of
    another size. What one of the two does not say is not held against the other: a folder has no serial number.
    """
    if (measured.width_px, measured.height_px) != (source.width_px, source.height_px):
        raise ProfileError(
            f"profile {path} was measured on frames of {measured.width_px} x {measured.height_px} px and {source.uri} gives "
            f"{source.width_px} x {source.height_px} px: {_by_what(measured, source)} may have changed um/px; set the "
            "camera as it was, or measure with these frames (`leuko-calib pixel-size`)."
        )
    serial = source.camera.get("serial")
    if None not in (measured.serial, serial) and measured.serial != serial:
        raise ProfileError(
            f"profile {path} was measured on camera {measured.serial} and {source.uri} is camera {serial}; give the profile of "
            "this camera, or measure one (`leuko-calib pixel-size`)."
        )
    if measured.objective is not None and objective is not None and _plain(measured.objective) != _plain(objective):
        raise ProfileError(
            f"profile {path} was measured with objective {measured.objective} and {objective} is in use; give the profile of "
            "this objective, or measure one (`leuko-calib pixel-size --objective`)."
        )


def _by_what(measured: CameraGeometry, source: SourceInfo) -> str:
    for times in (2, 3, 4, 8):
        if (source.width_px, source.height_px) == (measured.width_px // times, measured.height_px // times):
            return f"a binning by {times}"
    return "binning or a region of interest"


def _plain(objective: str) -> str:
    """As people write one and the same: 50x/0.95, 50X / 0.95."""
    return "".join(objective.split()).casefold().replace("\N{MULTIPLICATION SIGN}", "x").replace(",", ".")
