"""What is in a profile, part by part: what was measured, how well, when, whether it still stands, and what its lack costs."""

from dataclasses import dataclass

from edge.contracts.base import Strict
from edge.contracts.colours import Bgr, Dated, MeasuredColours, MeasuredLight
from edge.contracts.latency import MeasuredLatency
from edge.contracts.profile import BundleThresholds, CameraGeometry, FocusRange, PixelSize, Profile
from edge.contracts.stage_geometry import MaybePerAxis, MeasuredStage


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a profile: its key there, how people call it, the command that measures it, and what its lack costs."""

    part: str
    name: str
    command: str
    costs: str


STEPS = (
    Step(
        "pixel_size",
        "um/px",
        "pixel-size",
        "a run does not start without --um-per-px, and at a wrong scale cells are missed",
    ),
    Step("illumination", "light", "illumination", "the corners of the field and the lamp's colour stay as they are"),
    Step(
        "colours",
        "colours",
        "colour",
        "cells are missed where stain or camera are unlike those of the training",
    ),
    Step("focus", "focus", "focus", "fields out of focus are not told by this instrument's own measure"),
    Step("stage", "stage", "stage", "places of cells are not known on the stage, nor how far a position can be off"),
    Step("thresholds", "thresholds", "thresholds", "the bundle's own are used, and scores do not come as probabilities"),
    Step("latency", "latency", "latency", "batch and deadline are not this machine's own"),
)
"""In the order of an installation. What the project cannot measure yet is not in a profile and is not named."""


@dataclass(frozen=True, slots=True)
class PartSaid:
    """What a profile says of one step; without a measurement `said` is empty."""

    step: Step
    said: str
    measured_at: str | None
    expires_at: str | None
    expired: bool


def known_steps() -> tuple[Step, ...]:
    """Those that a profile of this version has a place for."""
    return tuple(step for step in STEPS if step.part in Profile.model_fields)


def contents(profile: Profile) -> list[PartSaid]:
    """Every part that a profile may have, measured or not."""
    found = []
    for step in known_steps():
        part: Strict | None = getattr(profile, step.part)
        if isinstance(part, MeasuredLatency):
            found.append(_latency(step, part))
            continue
        measured_at = getattr(part, "measured_at", None) or getattr(getattr(part, "evidence", None), "measured_at", None)
        dated = part if isinstance(part, Dated) else None
        found.append(
            PartSaid(
                step,
                "" if part is None else say(part),
                measured_at,
                dated.expires_at if dated else None,
                dated.has_expired() if dated else isinstance(part, FocusRange) and not part.compares,
            )
        )
    return found


def _latency(step: Step, part: MeasuredLatency) -> PartSaid:
    """Each engine has its own date: what expires first, expires the part."""
    settings = part.engines.values()
    expires = [each.expires_at for each in settings if each.expires_at is not None]
    measured_at = max(each.measured_at for each in settings)
    return PartSaid(step, say(part), measured_at, min(expires, default=None), any(each.has_expired() for each in settings))


def say_camera(camera: CameraGeometry) -> str:
    """What is known of the camera."""
    serial = f"serial {camera.serial}" if camera.serial else "no serial number on record"
    return f"{camera.width_px} x {camera.height_px} px, {serial}, objective {camera.objective or 'not on record'}"


def say(part: Strict) -> str:  # noqa: PLR0911 - one line for each kind of part
    """The numbers of one part that people ask for."""
    match part:
        case PixelSize():
            return f"{part.um_per_px:.5f} um/px, standard error {part.uncertainty_um_per_px:.2g}"
        case MeasuredLight():
            darkest = min(value for grid in part.shade for row in grid for value in row)
            return f"white {_bgr(part.white)}, {darkest:.0%} at the darkest, {part.residual:.2%} off a smooth light (rms)"
        case MeasuredColours():
            empty, red_cells = part.colours.empty, part.colours.red_cells
            return f"empty {_bgr(empty)}, red cells {_bgr(red_cells)}, {part.fields} fields"
        case FocusRange():
            low, high = part.usable_um
            below, above = part.peak_z_um - low, high - part.peak_z_um
            old = "" if part.compares else ", by a sharpness that is measured no more"
            return f"usable {below:.2f} um below the peak to {above:.2f} above, at a score of {part.min_score:.2f}{old}"
        case MeasuredStage():
            return (
                f"{part.pixel_um:.5f} um/px, backlash {_axes(part.backlash_um)}, error {_axes(part.sigma_um)} um, "
                f"{part.affine_error_nm:.0f} nm over a field"
            )
        case BundleThresholds():
            chosen = part.thresholds
            said = f"detect {chosen.detect:g}, identify {chosen.identify:g}, bundle {part.bundle_id[:12]}"
            colours = part.colour_transform or "as they come"
            return f"{said}, {'with' if part.probability else 'no'} probabilities, colours {colours}"
        case MeasuredLatency():
            return "; ".join(
                f"batch {each.max_batch}, deadline {each.max_delay_ms:g} ms, {each.rate_per_s:g} fields/s within p99 "
                f"{each.budget.p99_ms:g} ms on {each.engine}"
                for each in part.engines.values()
            )
        case _:
            return "measured"


def _bgr(colour: Bgr) -> str:
    return "/".join(f"{level:.0f}" for level in colour)


def _axes(values: MaybePerAxis) -> str:
    return " and ".join("unknown" if value is None else f"{value:.2f}" for value in values)
