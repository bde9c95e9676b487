"""A profile with the light that blank fields show, and what is told of it."""

from pathlib import Path

from calib.field_reading import FieldReading
from calib.flat_light import LightFit
from calib.profile_parts import Before, dates
from edge.contracts.colours import MeasuredLight
from edge.contracts.errors import DataError
from edge.contracts.profile import Profile


def measure_light(source: str, before: Before, fields: int, valid_days: int) -> Profile:
    """The profile so far with the light of the blank fields of `source`.

    Raises `DataError` for fields that are not blank, overexposed, too few or unlike, `ProfileError` when they are another
    camera's, and what opening the source raises.
    """
    reading = FieldReading(source, fields, before.um_per_px or 1.0)  # light has no scale
    fit = LightFit()
    for name, image in reading.fields():
        fit.add(name, image)
    if reading.unusable:
        raise DataError(f"{reading.unusable[0]}; take this field again, or leave it out.")
    light, info = fit.light(), reading.info
    measured_at, expires_at = dates(valid_days)
    found = MeasuredLight(
        measured_at=measured_at,
        expires_at=expires_at,
        shade=light.shade,
        white=light.white,
        residual=light.residual,
        fields=light.fields,
        width_px=info.width_px,
        height_px=info.height_px,
        source=source,
        fields_sha256=reading.sha256,
    )
    # Colours were measured under the light as it was before.
    return before.of_camera(info).model_copy(update={"illumination": found, "colours": None})


def _darkest(light: MeasuredLight) -> list[float]:
    return [min(value for row in grid for value in row) for grid in light.shade]


def as_json(light: MeasuredLight, written: Path, digest: str, picture: Path) -> dict[str, object]:
    """Plain values; `digest` is the SHA-256 of the file that was written."""
    return {
        "white": light.white,
        "darkest": _darkest(light),
        "residual": light.residual,
        "fields": light.fields,
        "expires_at": light.expires_at,
        "picture": str(picture),
        "profile": str(written),
        "profile_sha256": digest,
    }


def as_lines(light: MeasuredLight, written: Path, picture: Path) -> tuple[str, ...]:
    """The same for people."""
    rows = [
        f"{name:<6} {white:7.1f} at the brightest part, {darkest:.0%} of it at the darkest"
        for name, white, darkest in zip(("blue", "green", "red"), light.white, _darkest(light), strict=True)
    ]
    return (
        *rows,
        f"{light.fields} blank fields, {light.residual:.2%} off a smooth light (rms, worst channel)",
        f"the light over the field: {picture}",
        f"valid until {light.expires_at}; colours have to be measured after it (`leuko-calib colour --profile {written}`)",
        f"written to {written}",
    )
