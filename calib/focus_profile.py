"""A profile with the focus range that a z-stack shows, and what is told of it."""

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from calib.focus_range import Focus, find_focus
from calib.image_table import sha256_of_files
from calib.z_stack import Plane, pixels_of, planes_by_step, planes_by_table
from edge.contracts.errors import DataError
from edge.contracts.profile import FOCUS_METRIC, FocusRange, Profile
from edge.quality import focus_score


@dataclass(frozen=True, slots=True)
class FocusMeasured:
    """The stack that was measured: a score for each plane, and what they show together."""

    planes: list[Plane]
    scores: list[float | None]
    focus: Focus


def measure_focus(profile: Profile, source: str, steps: float | Path, usable_share: float) -> tuple[Profile, FocusMeasured]:
    """`profile` with the focus range of the stack `source`, whose images are `steps` um apart or as a table of that name says.

    Raises `DataError` when the stack shows no peak, or its images are not those of the profile's camera.
    """
    planes = planes_by_table(source, steps) if isinstance(steps, Path) else planes_by_step(source, steps)
    scores: list[float | None] = []
    camera = profile.camera
    for plane, image in pixels_of(planes):
        if image.shape[:2] != (camera.height_px, camera.width_px):
            raise DataError(
                f"{plane.name} is {image.shape[1]} x {image.shape[0]} px, but the profile's camera gives {camera.width_px} x"
                f" {camera.height_px}; take the stack with that camera, without binning or a region of interest."
            )
        scores.append(focus_score(image, profile.measured_scale.um_per_px))
    focus = find_focus([plane.z_um for plane in planes], scores, usable_share)
    found = FocusRange(
        metric=FOCUS_METRIC,
        peak_z_um=focus.peak_z_um,
        usable_um=focus.usable_um,
        peak_score=focus.peak_score,
        min_score=focus.min_score,
        residual=focus.residual,
        planes=len(planes),
        images_sha256=sha256_of_files(plane.path for plane in planes),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    return profile.model_copy(update={"focus": found}), FocusMeasured(planes, scores, focus)


def as_json(measured: FocusMeasured, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    focus = measured.focus
    return {
        "peak_z_um": focus.peak_z_um,
        "usable_um": list(focus.usable_um),
        "peak_score": focus.peak_score,
        "min_score": focus.min_score,
        "residual": focus.residual,
        "rises": [{"z_um": z_um, "share": share} for z_um, share in focus.rises],
        "planes": [
            {"name": plane.name, "z_um": plane.z_um, "score": score}
            for plane, score in zip(measured.planes, measured.scores, strict=True)
        ],
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(measured: FocusMeasured, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    focus = measured.focus
    low, high = focus.usable_um
    rises = tuple(
        f"far out of focus the sharpness rises again, at {z_um:g} um to {share:.0%} of its peak: noise or the traces of JPEG; "
        "the range stands, but fields still further out may not be told as blurred. Take the stack with less gain and save PNG "
        "or TIFF."
        for z_um, share in focus.rises
    )
    return (
        f"sharpest at {focus.peak_z_um:.2f} um (score {focus.peak_score:.2f})",
        f"usable from {low:.2f} to {high:.2f} um: {focus.peak_z_um - low:.2f} um below and {high - focus.peak_z_um:.2f} um"
        f" above; a field with a score under {focus.min_score:.2f} is out of focus",
        f"{len(measured.planes)} images, {focus.residual:.3f} off a regular peak (rms, log score); the curve: {picture}",
        *rises,
        f"written to {written}",
    )
