"""An instrument's profile with the um/px that stage moves show, from a table of images and positions, and what is said."""

from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from calib.image_table import read_rows, sha256_of_files
from calib.move_grid import Moves, images_of
from calib.profile_parts import is_microscope_scale
from calib.stage_moves import MovedScale, StageImage, measure_moves
from edge.contracts.errors import DataError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile


def measure_moved_profile(table: Path, instrument: str, objective: str | None) -> tuple[Profile, MovedScale]:
    """Measure the images that `table` names, CSV with the columns image, x_um, y_um; names are relative to its folder.

    Raises `DataError` for an image that cannot be read, and for a table or moves that do not give a scale.
    """
    rows = read_rows(table, ("x_um", "y_um"), "position")
    positions = np.array([values for _, values in rows], np.float64)
    moves = Moves([name for name, _ in rows], [table.parent / name for name, _ in rows], positions)
    taken = zip(moves.names, images_of(moves), positions.tolist(), strict=True)
    images = [StageImage(name, image, x_um, y_um) for name, image, (x_um, y_um) in taken]
    scale = measure_moves(images)
    if not is_microscope_scale(scale.um_per_px):
        raise DataError(f"{scale.um_per_px:.3g} um/px is no microscope image; give the stage's positions in micrometres.")
    measured = PixelSize(
        um_per_px=scale.um_per_px,
        uncertainty_um_per_px=scale.standard_error,
        stage_pairs=scale.pairs,
        image_sha256=sha256_of_files(moves.paths),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    height_px, width_px = images[0].image.shape[:2]
    camera = CameraGeometry(width_px=width_px, height_px=height_px, objective=objective)
    return Profile(instrument=instrument, camera=camera, pixel_size=measured), scale


def moves_as_json(profile: Profile, scale: MovedScale, written: Path, digest: str) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    return {
        "um_per_px": scale.um_per_px,
        "uncertainty_um_per_px": scale.standard_error,
        "stage_pairs": scale.pairs,
        "residual_um": scale.residual_um,
        "field_width_um": profile.camera.width_px * scale.um_per_px,
        "field_height_um": profile.camera.height_px * scale.um_per_px,
        "profile": str(written),
        "profile_sha256": digest,
    }


def moves_as_lines(profile: Profile, scale: MovedScale, written: Path) -> tuple[str, ...]:
    """The same for people."""
    width_um, height_um = (size * scale.um_per_px for size in (profile.camera.width_px, profile.camera.height_px))
    return (
        f"{scale.um_per_px:.5f} um/px, standard error {scale.standard_error:.5f}",
        f"{scale.pairs} pairs of images, {scale.residual_um:.3f} um off the stage's positions (rms)",
        f"a field of {profile.camera.width_px} x {profile.camera.height_px} px would be {width_um:.1f} x {height_um:.1f} um; "
        f"a leukocyte of 12 um, {12 / scale.um_per_px:.0f} px",
        f"written to {written}",
    )
