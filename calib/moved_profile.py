"""An instrument's profile with the um/px that stage moves show, from a table of images and positions, and what is said."""

import csv
import hashlib
import math
from datetime import datetime, timezone
from pathlib import Path

from calib.stage_moves import MovedScale, StageImage, measure_moves
from edge.camera.decode import read_image
from edge.contracts.bundle import sha256_of
from edge.contracts.errors import DataError
from edge.contracts.profile import CameraGeometry, PixelSize, Profile

_COLUMNS = ("image", "x_um", "y_um")


def measure_moved_profile(table: Path, instrument: str, objective: str | None) -> tuple[Profile, MovedScale]:
    """Measure the images that `table` names, CSV with the columns image, x_um, y_um; names are relative to its folder.

    Raises `FrameError` when an image cannot be read, `DataError` for a table or moves that do not give a scale.
    """
    rows = _rows(table)
    files = [table.parent / name for name, _, _ in rows]
    images = [
        StageImage(name, read_image(file, name)[0], x_um, y_um) for file, (name, x_um, y_um) in zip(files, rows, strict=True)
    ]
    scale = measure_moves(images)
    if scale.um_per_px > 10:
        raise DataError(f"{scale.um_per_px:.1f} um/px is no microscope image; give the stage's positions in micrometres.")
    measured = PixelSize(
        um_per_px=scale.um_per_px,
        uncertainty_um_per_px=scale.standard_error,
        stage_pairs=scale.pairs,
        image_sha256=hashlib.sha256("".join(map(sha256_of, files)).encode()).hexdigest(),
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


def _rows(table: Path) -> list[tuple[str, float, float]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
                raise DataError(f"{table} has no column {missing[0]}; its first line must be {','.join(_COLUMNS)}.")
            found = []
            for line, row in enumerate(reader, 2):
                try:
                    name, x_um, y_um = str(row["image"] or ""), float(row["x_um"] or ""), float(row["y_um"] or "")
                except ValueError as problem:
                    raise DataError(f"{table}, line {line}: x_um and y_um must be numbers.") from problem
                if not name or not (math.isfinite(x_um) and math.isfinite(y_um)):
                    raise DataError(f"{table}, line {line}: an image's name and two finite positions are needed.")
                found.append((name, x_um, y_um))
    except (OSError, UnicodeError, csv.Error) as problem:
        raise DataError(f"{table} cannot be read as a table ({problem}); write it as CSV, UTF-8.") from problem
    return found
