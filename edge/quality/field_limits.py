"""Which fields came out badly: the limits of what `edge.quality.field_look` and `focus_score` measure, in one table.

All were chosen here, on five sources of four laboratories, so that what a person would not image anew is not marked; a
profile's own focus goes before this one, since it was measured on the instrument.
"""

from dataclasses import dataclass
from typing import Literal

from edge.quality.field_look import FieldLook

Fault = Literal["blurred", "dark", "bright", "overexposed", "thick", "crowded", "stain"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A field is bad where the value is below (`is_least`) or above `value`; `why` it was chosen so, and from where."""

    fault: Fault
    value: float
    is_least: bool
    what: str
    why: str


LIMITS: tuple[Limit, ...] = (
    Limit("blurred", 0.1, True, "sharpness", "chosen here: fields in focus have over 0.12, blurred by one um under 0.1"),
    Limit("dark", 50.0, True, "brightness of the empty slide", "chosen here: the darkest source at hand has 113"),
    Limit("bright", 250.0, False, "brightness of the empty slide", "chosen here: the brightest source at hand has 241"),
    Limit("overexposed", 0.7, False, "overexposed share", "chosen here: the empty slide of one source is, up to 0.53"),
    Limit("thick", 0.85, False, "share covered by cells", "chosen here: fields to count in have under 0.79"),
    Limit("crowded", 4.0, False, "crowding", "chosen here: of fields under even light under 1.9, with a vignette under 3.8"),
    Limit("stain", 0.24, False, "distance from the profile's colours", "chosen here: twice what a whole run may be off"),
)


def faults_of(
    look: FieldLook | None, focus: float | None, colour_drift: float | None, min_focus: float | None = None
) -> tuple[tuple[Fault, str], ...]:
    """What is wrong with a field, each with a few words; None stands for what was not measured, and is never wrong.

    `min_focus`: the profile's own limit of sharpness.
    """
    measured: dict[Fault, float | None] = {"blurred": focus, "stain": colour_drift}
    if look is not None:
        measured |= {
            "dark": look.brightness,
            "bright": look.brightness,
            "overexposed": look.saturated,
            "thick": look.covered,
            "crowded": look.crowding,
        }
    found = []
    for limit in LIMITS:
        value = measured.get(limit.fault)
        border = min_focus if limit.fault == "blurred" and min_focus is not None else limit.value
        if value is not None and (value < border if limit.is_least else value > border):
            side = "below" if limit.is_least else "above"
            found.append((limit.fault, f"{limit.what} {value:.3g}, {side} {border:.3g}"))
    return tuple(found)
