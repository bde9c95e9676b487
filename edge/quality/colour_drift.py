"""How far a slide's colours are from those of the instrument's profile: stain, lamp or camera have changed."""

import statistics
from collections import OrderedDict, deque

import numpy as np

from edge.camera.frame import SourceNote
from edge.contracts.colours import MeasuredColours, MeasuredLight
from edge.contracts.detections import Image
from edge.quality.field_colours import Floats, colours_of_small, density, evened, looked_at
from edge.quality.field_look import FEW, is_looked_at

MOST_DRIFT = 0.12
"""In optical density, of empty slide or red cells in any channel, median over fields. Slides of one stain lie within 0.08."""

AT_FIRST, THEN_EVERY = 16, 16
"""Of the first fields each is looked at, then one in so many."""

ENOUGH, MOST = 8, 32
"""Fields looked at before anything is said, and those that the median is taken over."""

_REMEMBERED = 256


class ColourDrift:
    """Told of a run's fields; each one's distance, and one sentence when they lie too far away. For one thread."""

    def __init__(self, colours: MeasuredColours, light: MeasuredLight | None, um_per_px: float) -> None:
        self._own = density(np.array(colours.colours.empty)), density(np.array(colours.colours.red_cells))
        self._light, self._um_per_px = light, um_per_px
        self._n_offered = 0
        self._drifts: OrderedDict[str, float] = OrderedDict()
        self._last: deque[Floats] = deque(maxlen=MOST)
        self._said = False

    def look(self, trigger_id: str, image: Image) -> None:
        """Before the field's pixels are let go of, as the camera gave them. `image` is BGR, uint8 [H, W, 3]."""
        look = is_looked_at(self._n_offered, AT_FIRST, THEN_EVERY)
        self._n_offered += 1
        if not look:
            return
        small = looked_at(image, self._um_per_px)
        if self._light is not None:
            small = evened(small, self._light.shade)
        found = colours_of_small(small, self._um_per_px)
        if found is None:
            return
        off = np.concatenate((density(found.empty) - self._own[0], density(found.red_cells) - self._own[1]))
        self._last.append(off)
        self._drifts[trigger_id] = float(np.abs(off).max())
        if len(self._drifts) > _REMEMBERED:  # of fields that failed afterwards
            self._drifts.popitem(last=False)

    def of(self, trigger_id: str) -> float | None:
        """The field's own distance, once; None where nobody looked or too little is seen."""
        return self._drifts.pop(trigger_id, None)

    def note(self, *, is_last: bool = False) -> SourceNote | None:
        """The sentence for the run, once. `is_last`: no field comes any more."""
        said = self.sentence(is_last=is_last)
        return SourceNote("colour_drift", said, "warning") if said else None

    def sentence(self, *, is_last: bool = False) -> str:
        """What to say of the slide, once; empty while its colours are the profile's. `is_last`: then a few fields suffice."""
        if self._said or len(self._last) < (FEW if is_last else ENOUGH):
            return ""
        off = [statistics.median(float(row[k]) for row in self._last) for k in range(6)]
        worst = max(range(3), key=lambda k: abs(off[k]))
        if abs(off[worst]) <= MOST_DRIFT:  # what moves the empty slide moves everything, and is the simpler thing to say
            worst = max(range(6), key=lambda k: abs(off[k]))
        if abs(off[worst]) <= MOST_DRIFT:
            return ""
        self._said = True
        what, channel = ("empty slide", "red cells")[worst // 3], ("blue", "green", "red")[worst % 3]
        way = "darker" if off[worst] > 0 else "brighter"
        return (
            f"the colour of the {what} in this run is {abs(off[worst]):.2f} {way} in {channel} (optical density, "
            f"{len(self._last)} fields) than the profile says; look at lamp, white balance and stain, or measure the colours "
            "anew (`leuko-calib colour`)."
        )
