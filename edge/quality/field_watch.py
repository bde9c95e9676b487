"""How every field of a run came out, measured as it is taken in and told once its cells are found.

It costs a field about a quarter of a millisecond: nine squares for the sharpness, some rows of pixels for the rest.
"""

from collections import OrderedDict
from dataclasses import dataclass

from edge.contracts.detections import Image
from edge.contracts.records import FieldQuality
from edge.contracts.run_order import QualityPolicy
from edge.quality.bad_share import BadShare
from edge.quality.field_limits import faults_of
from edge.quality.field_look import FieldLook, look_at
from edge.quality.focus_score import focus_score

_REMEMBERED = 256
"""Fields that failed afterwards are never asked for."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is put on record of a field, and the sentence of the event where it should be imaged anew; empty else."""

    quality: FieldQuality | None
    sentence: str = ""


class FieldWatch:
    """By the order's quality policy; `min_focus` is the profile's. For one thread."""

    def __init__(self, policy: QualityPolicy, um_per_px: float, min_focus: float | None = None) -> None:
        self._policy, self._um_per_px, self._min_focus = policy, um_per_px, min_focus
        self._looks: OrderedDict[str, tuple[FieldLook, float | None]] = OrderedDict()
        self._share = BadShare()

    def look(self, trigger_id: str, image: Image) -> None:
        """Before the field's pixels are let go of, as the camera gave them. `image` is BGR, uint8 [H, W, 3]."""
        if self._policy == "off":
            return
        self._looks[trigger_id] = (look_at(image, self._um_per_px), focus_score(image, self._um_per_px))
        if len(self._looks) > _REMEMBERED:
            self._looks.popitem(last=False)

    def judged(self, trigger_id: str, field_index: int, colour_drift: float | None) -> Judged:
        """Of a field that was looked at, once. `colour_drift` is what was measured elsewhere, if it was."""
        drift = round(colour_drift, 4) if colour_drift is not None else None
        seen = self._looks.pop(trigger_id, None)
        if seen is None:
            return Judged(FieldQuality(colour_drift=drift) if drift is not None else None)
        look, focus = seen
        faults = faults_of(look, focus, colour_drift, self._min_focus)
        self._share.judged([fault for fault, _ in faults], shows_nothing=look.covered is None)
        quality = FieldQuality(
            colour_drift=drift,
            focus=_rounded(focus),
            brightness=look.brightness,
            saturated=round(look.saturated, 4),
            covered=_rounded(look.covered),
            crowding=_rounded(look.crowding),
            bad=tuple(fault for fault, _ in faults),
            left_out=bool(faults) and self._policy == "leave_out",
        )
        if not faults or self._policy == "mark":
            return Judged(quality)
        left_out = "; its cells are in no count of the slide" if quality.left_out else ""
        what = ", ".join(f"{fault} ({words})" for fault, words in faults)
        return Judged(quality, f"field {field_index} came out badly: {what}{left_out}; image it anew.")

    def of_run(self, *, is_last: bool = False) -> list[str]:
        """What is to be said of all the run's fields by now, once each; `is_last`: no field comes any more."""
        return self._share.sentences(is_last=is_last)


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None else None
