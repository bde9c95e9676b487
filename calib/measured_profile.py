"""An instrument's profile with the um/px that an image of a stage micrometer shows, and what is told of it."""

from datetime import datetime, timezone
from pathlib import Path

from calib.profile_parts import is_microscope_scale
from calib.scale_picture import write_scale_picture
from calib.stage_micrometer import Scale, measure_scale
from edge.camera.decode import read_image
from edge.contracts.bundle import sha256_of
from edge.contracts.errors import ConfigError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile


def measure_profile(
    image: Path, line_spacing_um: float, instrument: str, objective: str | None, picture: Path | None = None
) -> tuple[Profile, Scale]:
    """Measure `image` whose lines are `line_spacing_um` apart.

    Raises `FrameError` when the image cannot be read, `DataError` when it shows no regular scale, `ConfigError` when the
    result is beyond what a profile may hold (10 um/px).
    `picture`, if any, is written with the lines that were found.
    """
    pixels, _ = read_image(image, str(image))
    scale = measure_scale(pixels)
    um_per_px = line_spacing_um / scale.spacing.spacing_px
    if not is_microscope_scale(um_per_px):
        raise ConfigError(f"{um_per_px:.3g} um/px is no microscope image; give the spacing of two lines in --line-spacing-um.")
    measured = PixelSize(
        um_per_px=um_per_px,
        uncertainty_um_per_px=um_per_px * scale.spacing.standard_error_px / scale.spacing.spacing_px,
        line_spacing_um=line_spacing_um,
        lines_found=scale.spacing.lines,
        image_sha256=sha256_of(image),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    height_px, width_px = pixels.shape[:2]
    camera = CameraGeometry(width_px=width_px, height_px=height_px, objective=objective)
    if picture is not None:
        caption = f"{scale.spacing.lines} lines, {scale.spacing.spacing_px:.3f} px apart: {um_per_px:.5f} um/px"
        write_scale_picture(picture, pixels, scale, f"{caption}; is every line of the scale red, and no other?")
    return Profile(instrument=instrument, camera=camera, pixel_size=measured), scale


def field_um(profile: Profile) -> tuple[float, float]:
    """Width and height of the camera's field in um."""
    um_per_px = profile.measured_scale.um_per_px
    return profile.camera.width_px * um_per_px, profile.camera.height_px * um_per_px


def as_json(profile: Profile, scale: Scale, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    found, spacing = profile.measured_scale, scale.spacing
    return {
        "um_per_px": found.um_per_px,
        "uncertainty_um_per_px": found.uncertainty_um_per_px,
        "lines_found": found.lines_found,
        "spacing_px": spacing.spacing_px,
        "residual_px": spacing.residual_px,
        "normal_deg": scale.normal_deg,
        "field_width_um": field_um(profile)[0],
        "field_height_um": field_um(profile)[1],
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(profile: Profile, scale: Scale, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    found, spacing, camera = profile.measured_scale, scale.spacing, profile.camera
    width_um, height_um = field_um(profile)
    return (
        f"{found.um_per_px:.5f} um/px, standard error {found.uncertainty_um_per_px:.5f}",
        f"{spacing.lines} lines, {spacing.spacing_px:.3f} px apart, {spacing.residual_px:.3f} px off a regular scale (rms)",
        f"a field of {camera.width_px} x {camera.height_px} px would be {width_um:.1f} x {height_um:.1f} um; "
        f"a leukocyte of 12 um, {12 / found.um_per_px:.0f} px",
        f"the lines that were found: {picture} (look whether they are all lines of the scale, and no other)",
        f"scale turned by {scale.normal_deg:.1f} degrees; written to {written}",
    )
