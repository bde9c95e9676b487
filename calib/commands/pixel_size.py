"""`leuko-calib pixel-size`: um/px from an image of a stage micrometer."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from calib.stage_micrometer import Scale, measure_scale
from edge.camera.decode import read_image
from edge.contracts.bundle import sha256_of
from edge.contracts.errors import ConfigError, ProfileError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile, write_profile


def profile_of(image: Path, line_spacing_um: float, instrument: str, objective: str | None) -> tuple[Profile, Scale]:
    """Measure `image` whose lines are `line_spacing_um` apart.

    Raises `FrameError` when the image cannot be read, `DataError` when it shows no regular scale, `ConfigError` when the
    result is beyond what a profile may hold (10 um/px).
    """
    pixels, _ = read_image(image, str(image))
    scale = measure_scale(pixels)
    um_per_px = line_spacing_um / scale.spacing.spacing_px
    if um_per_px > 10:
        raise ConfigError(f"{um_per_px:.1f} um/px is no microscope image; give the spacing of two lines in --line-spacing-um.")
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
    return Profile(instrument=instrument, camera=camera, pixel_size=measured), scale


def pixel_size(
    image: Annotated[Path, typer.Argument(help="image of the stage micrometer, taken with the camera's full field")],
    line_spacing_um: Annotated[float, typer.Option(min=0.1, max=1000, help="distance between two neighbouring lines")],
    out: Annotated[Path, typer.Option(help="the new profile")],
    instrument: Annotated[str, typer.Option(help="name of the instrument")] = "unnamed",
    objective: Annotated[str | None, typer.Option(help="for example 50x/0.95")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the result as one JSON object")] = False,
) -> None:
    """Measure um/px on a stage micrometer and write it to a profile.

    leuko-calib pixel-size micrometer.png --line-spacing-um 10 --out profile.json --instrument "bench 3"
    """
    if out.exists():
        raise ProfileError(f"{out} already exists and runs may refer to its hash; choose another name for the new profile.")
    profile, scale = profile_of(image, line_spacing_um, instrument, objective)
    digest = write_profile(out, profile)
    found, spacing = profile.pixel_size, scale.spacing
    if as_json:
        result = {
            "um_per_px": found.um_per_px,
            "uncertainty_um_per_px": found.uncertainty_um_per_px,
            "lines_found": found.lines_found,
            "spacing_px": spacing.spacing_px,
            "residual_px": spacing.residual_px,
            "normal_deg": scale.normal_deg,
            "profile": str(out),
            "profile_sha256": digest,
        }
        print(json.dumps(result))
        return
    console = Console(highlight=False)
    console.print(f"{found.um_per_px:.5f} um/px, standard error {found.uncertainty_um_per_px:.5f}")
    console.print(
        f"{spacing.lines} lines, {spacing.spacing_px:.3f} px apart, {spacing.residual_px:.3f} px off a regular scale (rms)"
    )
    console.print(f"scale turned by {scale.normal_deg:.1f} degrees; written to {out}", soft_wrap=True)
