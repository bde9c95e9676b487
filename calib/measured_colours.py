"""A profile with the colours that ordinary fields show, and what is told of it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from calib.field_reading import FieldReading
from calib.profile_parts import Before, dates
from calib.stain_colours import LEAST_FIELDS, StainColours, StainFit, require_known_stain, turned_deg
from edge.camera.colour_transform import colour_table
from edge.camera.correction import Correction
from edge.contracts.bundle import Bundle
from edge.contracts.colours import MeasuredColours
from edge.contracts.detections import Image
from edge.contracts.errors import BundleError, ConfigError, DataError
from edge.contracts.profile import Profile, part_sha256

SHOWN = 3
"""Fields in the picture, before and after."""


@dataclass(frozen=True, slots=True)
class ColoursMeasured:
    """The new profile, what was found, and some of the fields as the edge will see them from now on."""

    profile: Profile
    found: StainColours
    turned_deg: float
    shown: list[tuple[Image, Image]]


def measure_colours(
    source: str, before: Before, um_per_px: float | None, bundle: Bundle, fields: int, valid_days: int
) -> ColoursMeasured:
    """The profile so far with the colours of the fields of `source`, under its light if it has one.

    Raises `DataError` for fields that show no stain the bundle knows, `BundleError` for a bundle without reference colours,
    `ProfileError` when they are another camera's, and what opening the source raises.
    """
    reference = bundle.manifest.reference_colours
    if reference is None:
        raise BundleError(
            f"bundle {bundle.path} does not say which colours it knows; `leuko-train colours` makes a child of it that does."
        )
    scale = um_per_px or before.um_per_px
    light = before.profile.illumination if before.profile is not None else None
    reading = FieldReading(source, fields, scale)
    even, fit, first = Correction(shade=light.shade if light is not None else None), None, list[Image]()
    for _, image in reading.fields():
        if fit is None:
            profile = before.of_camera(reading.info)
            fit = StainFit(reading.info.um_per_px)
        flat = np.empty_like(image)
        even.apply(image, flat, even.gains(image.shape[1], image.shape[0]))
        fit.add(flat)
        if len(first) < SHOWN:
            first.append(image)
    if fit is None:
        raise DataError(f"{source} gave no field that can be used{': ' + reading.unusable[0] if reading.unusable else ''}.")
    found = fit.colours()
    if reading.different < min(reading.read, LEAST_FIELDS):
        raise DataError(
            f"the {reading.read} fields of {source} are {reading.different} picture{'s' * (reading.different > 1)} again and "
            f"again: copies, or a camera that gives old pictures anew; give at least {LEAST_FIELDS} fields."
        )
    require_known_stain(found.colours, reference)
    if scale is None:
        scale = reading.info.um_per_px
    measured_at, expires_at = dates(valid_days)
    part = MeasuredColours(
        measured_at=measured_at,
        expires_at=expires_at,
        colours=found.colours,
        spread=found.spread,
        fields=found.fields,
        fields_without=found.without,
        fields_with_nuclei=found.with_nuclei,
        saturated=found.saturated,
        um_per_px=scale,
        width_px=reading.info.width_px,
        height_px=reading.info.height_px,
        source=source,
        fields_sha256=reading.sha256,
        illumination_sha256=part_sha256(light) if light is not None else None,
    )
    moved = Correction(shade=even.shade, table=colour_table(found.colours, reference).table)
    shown = []
    for image in first:
        after = np.empty_like(image)
        moved.apply(image, after, moved.gains(image.shape[1], image.shape[0]))
        shown.append((image, after))
    after_profile = profile.model_copy(update={"colours": part})
    return ColoursMeasured(after_profile, found, turned_deg(found.colours, reference), shown)


def write_before_and_after(path: Path, shown: list[tuple[Image, Image]]) -> None:
    """Fields as the camera gave them above those as the model will see them. Raises `ConfigError`."""
    rows = [np.hstack([pair[k] for pair in shown]) for k in (0, 1)]
    sheet = np.vstack([rows[0], np.full((12, rows[0].shape[1], 3), 255, np.uint8), rows[1]])
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        written = cv2.imwrite(str(path), sheet)
    except cv2.error as problem:
        raise ConfigError(f"{path} has no suffix of a picture; name it like colours.png.") from problem
    if not written:
        raise ConfigError(f"picture {path} cannot be written; give another file with --picture.")


def as_json(measured: ColoursMeasured, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    found = measured.found
    part = measured.profile.colours
    return {
        **found.colours.model_dump(),
        "spread": found.spread.model_dump(),
        "fields": found.fields,
        "fields_without": found.without,
        "fields_with_nuclei": found.with_nuclei,
        "saturated_percent": found.saturated,
        "turned_deg": round(measured.turned_deg, 1),
        "expires_at": part.expires_at if part is not None else None,
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(measured: ColoursMeasured, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    found, part = measured.found, measured.profile.colours
    rows = ["             blue green   red (grey levels; +- between fields)"]
    for name in ("empty", "red_cells", "nuclei"):
        level, spread = getattr(found.colours, name), getattr(found.spread, name)
        said = "not enough of them seen" if level is None else " ".join(f"{value:5.0f}" for value in level)
        off = "" if spread is None else "  +- " + " ".join(f"{value:.1f}" for value in spread)
        rows.append(f"{name.replace('_', ' '):<11} {said}{off}")
    return (
        *rows,
        f"{found.fields} fields, {found.with_nuclei} of them with nuclei; {found.without} more showed no red cells",
        f"red cells {measured.turned_deg:.0f} degrees from the nearest source that the model knows",
        *(
            f"the empty slide is overexposed in {name}: expose less, so that it stays below 250, and measure again"
            for name in found.overexposed
        ),
        f"fields before (above) and after: {picture}",
        f"valid until {part.expires_at if part is not None else ''}; written to {written}",
    )
