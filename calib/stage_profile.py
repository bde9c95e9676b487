"""A profile with the way from pixels to the stage that a grid of moves shows, and what is told of it."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calib.field_shifts import ShiftedImages
from calib.image_table import sha256_of_files
from calib.move_grid import Moves, find_pairs, images_of, read_moves
from calib.profile_parts import dates, is_microscope_scale
from calib.stage_fit import StageFit, fit_stage, place_images
from edge.contracts.bundle import sha256_of
from edge.contracts.errors import DataError, ProfileError
from edge.contracts.profile import PixelSize, Profile
from edge.contracts.stage_geometry import MeasuredStage

UNSEEN_SCALE_ERROR = 0.005
"""What the pitch of a stage's screw and the ruling of a micrometer may be wrong by without a residual that shows it."""

LARGEST_ERROR_UM = 1.0
"""Standard error of a place in a field beyond which nothing was measured."""

_UNITS = {1000.0: "nanometres", 0.001: "millimetres", 10.0: "tenths of a micrometre", 25.4: "thousandths of an inch"}


@dataclass(frozen=True, slots=True)
class StageMeasured:
    """What was read and what it says."""

    moves: Moves
    fit: StageFit
    stage: MeasuredStage


def measure_stage(profile: Profile, source: str, table: Path, valid_days: int) -> tuple[Profile, StageMeasured]:
    """`profile` with the stage that the images of `source` at the positions of `table` show.

    Raises `DataError` for moves that show nothing certain, and for a um/px that contradicts the profile's; `ProfileError` for
    images that are not those of the profile's camera.
    """
    moves = read_moves(source, table)
    images = images_of(moves)
    height_px, width_px = images[0].shape[:2]
    camera = profile.camera
    if (width_px, height_px) != (camera.width_px, camera.height_px):
        raise ProfileError(
            f"{moves.names[0]} is {width_px} x {height_px} px, but the profile's camera gives {camera.width_px} x "
            f"{camera.height_px}; take the grid with that camera, without binning or a region of interest."
        )
    stated = profile.pixel_size
    shifted = ShiftedImages(images, [tuple(place) for place in moves.commanded_um.tolist()])
    found = find_pairs(shifted, moves, (width_px, height_px), stated.um_per_px if stated else None)
    places = place_images(len(moves.names), found.pairs)
    fit = fit_stage(moves.commanded_um, places)
    if stated is not None:
        _require_agreement(fit, stated)
    elif not is_microscope_scale(fit.pixel_um):
        raise DataError(
            f"by the stage's moves a pixel is {fit.pixel_um:.3g} um, which no microscope shows: the positions have to be in "
            "micrometres."
        )
    if not (error_nm := fit.error_nm(width_px, height_px)) < 1000 * LARGEST_ERROR_UM:
        raise DataError(
            f"a place in a field would be known to {error_nm / 1000:.1f} um only (standard error); take more positions, "
            "further apart, and look whether the stage stands still while an image is taken."
        )
    measured_at, expires_at = dates(valid_days)
    stage = MeasuredStage(
        measured_at=measured_at,
        expires_at=expires_at,
        um_per_px=((fit.um_per_px[0, 0], fit.um_per_px[0, 1]), (fit.um_per_px[1, 0], fit.um_per_px[1, 1])),
        affine_error_nm=error_nm,
        sigma_um=fit.sigma_um,
        repeatability_um=fit.repeatability_um,
        backlash_um=fit.backlash_um,
        residual_nm=fit.residual_nm,
        agreement=min(1.0, len(places.pairs) / found.recognised),
        images=int((places.group >= 0).sum()),
        pairs=len(places.pairs),
        source=source,
        images_sha256=sha256_of_files(moves.paths),
        moves_sha256=sha256_of(table),
    )
    return profile.model_copy(update={"stage": stage}), StageMeasured(moves, fit, stage)


def _require_agreement(fit: StageFit, stated: PixelSize) -> None:
    allowed = 3 * math.hypot(fit.pixel_error_um, stated.uncertainty_um_per_px) + UNSEEN_SCALE_ERROR * stated.um_per_px
    if abs(fit.pixel_um - stated.um_per_px) <= allowed:
        return
    factor = fit.pixel_um / stated.um_per_px
    unit = next((name for scale, name in _UNITS.items() if abs(factor / scale - 1) < 0.05), None)
    why = "one was taken with another objective or binning, or the spacing of the micrometer or the stage's steps are others"
    if unit:
        why = f"the positions seem to be in {unit}, and have to be in micrometres"
    raise DataError(
        f"by the stage's moves a pixel is {fit.pixel_um:.5g} um (standard error {fit.pixel_error_um:.2g}) and by the profile "
        f"{stated.um_per_px:.5g} ({stated.uncertainty_um_per_px:.2g}), {100 * (factor - 1):+.2f} %, which is more than the two "
        f"can differ by: {why}."
    )


def turn_of(stage: MeasuredStage) -> tuple[float, bool]:
    """Degrees from the stage's x to the image's x, and whether the image is mirrored."""
    matrix = np.array(stage.um_per_px)
    return math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])), bool(np.linalg.det(matrix) < 0)


def as_json(measured: StageMeasured, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    turn_deg, mirrored = turn_of(measured.stage)
    return measured.stage.model_dump(mode="json") | {
        "pixel_um": measured.fit.pixel_um,
        "pixel_error_um": measured.fit.pixel_error_um,
        "turn_deg": turn_deg,
        "mirrored": mirrored,
        "far_off": [measured.moves.names[at] for at in measured.fit.far_off],
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(measured: StageMeasured, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    stage, fit = measured.stage, measured.fit
    turn_deg, mirrored = turn_of(stage)
    (a, b), (c, d) = stage.um_per_px
    sides = math.hypot(a, c), math.hypot(b, d)
    lines = [
        f"stage x = {a:+.6f} x {b:+.6f} y, stage y = {c:+.6f} x {d:+.6f} y (um per px from the centre): {fit.pixel_um:.5f} "
        f"um/px, standard error {fit.pixel_error_um:.5f}; image turned by {turn_deg:.2f} "
        f"degrees{', mirrored' if mirrored else ''}",
        f"a place in a field is known to {stage.affine_error_nm:.0f} nm (rms), images were {stage.residual_nm:.0f} nm from "
        f"where they should be (rms); {stage.images} of {len(measured.moves.names)} images, {stage.pairs} pairs, "
        f"{stage.agreement:.0%} of those that were recognised",
    ]
    for axis, name in enumerate("xy"):
        backlash, again = stage.backlash_um[axis], stage.repeatability_um[axis]
        told = (
            "backlash not known: it was approached from one side only" if backlash is None else f"backlash {backlash:+.2f} um"
        )
        visits = "" if again is None else f", {again:.2f} um between visits to one position"
        lines.append(f"{name}: {told}, standard deviation {stage.sigma_um[axis]:.2f} um{visits}")
    if abs(sides[0] / sides[1] - 1) > 0.01:
        lines.append(
            f"a pixel is {sides[0]:.5f} um along the image's x and {sides[1]:.5f} along its y: are the steps of both axes "
            "those the table says?"
        )
    if fit.far_off:
        names = ", ".join(measured.moves.names[at] for at in fit.far_off[:5])
        lines.append(f"far from where it was told to be: {names}; look whether the stage stood still there")
    return (*lines, f"how far each image was off: {picture}", f"written to {written}")
