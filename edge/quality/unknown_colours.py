"""Whether a run without measured colours shows a laboratory unlike any that its model was trained on."""

import cv2
import numpy as np

from edge.camera.colour_transform import balance
from edge.camera.frame import SourceNote
from edge.contracts.colours import Colours, MeasuredLight, ReferenceColours
from edge.contracts.detections import Image
from edge.quality.field_colours import Floats, colours_of_small, density, evened
from edge.quality.field_look import FEW, is_looked_at

NEAR = 0.20
"""In optical density, of empty slide and of red cells over it, in any channel. Fields of a laboratory that a model knows lie
within 0.1 of it by their median, drawn fields within 0.2 of some; of five laboratories three lie further from all others."""

ENOUGH = 8
"""Fields with empty slide and red cells that are judged by their median, once."""

AT_FIRST, THEN_EVERY = 16, 64
"""Of the first fields each is looked at, then one in so many, until there are enough."""


def nearest(empty: Floats, red_cells: Floats, reference: ReferenceColours) -> tuple[float, str]:
    """How far densities [3] of empty slide and of red cells over it are from the nearest source's, and its name."""
    return min((_apart(empty, red_cells, source.colours), name) for name, source in reference.sources.items())


def _apart(empty: Floats, red_cells: Floats, known: Colours) -> float:
    ground = density(np.array(known.empty))
    over = density(np.array(known.red_cells)) - ground
    return float(max(np.abs(empty - ground).max(), np.abs(red_cells - over).max()))


LOOKED_AT_UM = 0.8
"""Pixels of about this size are looked at, a third as fine as a calibration's: it must not hold a run up."""


class UnknownColours:
    """Told of a run's fields; one sentence when they lie far from everything that the model knows. For one thread.

    `light` is the profile's, under which the model sees them.
    """

    def __init__(self, reference: ReferenceColours, light: MeasuredLight | None, um_per_px: float) -> None:
        self._reference, self._light, self._um_per_px = reference, light, um_per_px
        self._n_offered = 0
        self._found: list[Floats] = []
        self._said = False

    def look(self, trigger_id: str, image: Image) -> None:
        """Before the field's pixels are let go of, as the camera gave them. `image` is BGR, uint8 [H, W, 3]."""
        looks = is_looked_at(self._n_offered, AT_FIRST, THEN_EVERY)
        self._n_offered += 1
        if not looks or len(self._found) >= ENOUGH:
            return
        every = max(1, int(LOOKED_AT_UM / self._um_per_px))
        width, height = max(1, image.shape[1] // every), max(1, image.shape[0] // every)
        # What is no whole multiple is left out: means over whole squares of pixels take a third of the time of others.
        whole = image[: height * every, : width * every]
        small = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        if self._light is not None:
            small = evened(small, self._light.shade)
        if (found := colours_of_small(small, every * self._um_per_px)) is not None:
            self._found.append(np.stack((self._seen(found.empty), self._seen(found.red_cells))))

    def of(self, trigger_id: str) -> float | None:
        """None: a single field's distance means nothing."""
        return None

    def note(self, *, is_last: bool = False) -> SourceNote | None:
        """The sentence for the run, once; it speaks against the run's result. `is_last`: no field comes any more."""
        said = self.sentence(is_last=is_last)
        return SourceNote("colours_unknown", said, "warning", doubt=said) if said else None

    def sentence(self, *, is_last: bool = False) -> str:
        """What to say of the run, once; empty before and ever after.

        `is_last`: there will be no more fields; then a few suffice, if each of them lies far from all.
        """
        few = len(self._found) < ENOUGH
        if self._said or (few and not (is_last and len(self._found) >= FEW)):
            return ""
        self._said = True
        judged = self._found if few else [np.median(self._found, axis=0)]
        apart, name = min(nearest(empty, red_cells - empty, self._reference) for empty, red_cells in judged)
        if apart <= NEAR:
            return ""
        return (
            f"no laboratory that the model was trained on has the colours of these fields ({name} is the nearest, {apart:.2f} "
            f"of optical density away, and {NEAR:.2f} is near): cells may be missed or take another type; see that the pixel "
            "format, Bayer pattern and gamma of the camera are right, then measure the colours (`leuko-calib colour`), so that "
            "the edge moves them to those that the model knows."
        )

    def _seen(self, colour: Floats) -> Floats:
        """Densities of a colour as the model sees it."""
        if self._light is not None:
            table = balance(self._light.white).table
            colour = np.array([table[round(float(level)), channel] for channel, level in enumerate(colour)], np.float64)
        return density(colour)
