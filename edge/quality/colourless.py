"""Whether fields have no colour: a camera set to grey values, a Bayer mosaic taken for a picture, greyscale files.

The model knows cells by their colours. Without them nothing fails: most cells are missed, and the rest take another type. Dyes
absorb green far more than red, so that on every stained smear the channels differ, relative to each other, by a good part of
what is to be seen at all, whatever the lamp's colour.
"""

import statistics

import numpy as np

from edge.contracts.detections import Image
from edge.quality.field_look import FEW, is_looked_at

LEAST = 0.2
"""Median over fields of `colour_share`. Single fields of the laboratories at hand all lie above 0.38, and nearly all
below this at a tenth of their saturation."""

ENOUGH = 5
"""Fields that show something, before anything is said of faint colours. Equal channels need no second field."""

AT_FIRST, THEN_EVERY = 16, 64
"""Of the first fields each is looked at, then one in so many, until there are enough."""

LOOKED_AT_UM = 1.6
_SPARSE_UM = 4.0
"""Every so much of each field one pixel says whether the channels are equal."""

_DARK = 4.0
"""Grey levels that are added to all: the noise of dark pixels is no colour."""

_BLACK, _LEAST_PX = 8, 100
"""Darker in all channels is beyond an aperture, or a part that is missing, and shows nothing of the slide; what is left of a
field must be so much at least."""

_STRUCTURE = 0.1
"""Of optical density in green, between the brightest and the darkest twentieth: less is a field with nothing in it."""

_RANGE = (5, 95)


def colour_share(image: Image, um_per_px: float) -> float | None:
    """How far the channels of a field (uint8 BGR [H, W, 3]) differ from each other, over all that is to be seen in it.

    0 for grey values, some 0.4 to 1.2 for stained smears; None for a field with nothing in it.
    """
    every = max(1, int(LOOKED_AT_UM / um_per_px))
    pixels = image[::every, ::every].reshape(-1, 3)
    density = np.log(pixels[pixels.max(axis=1) >= _BLACK].astype(np.float32) + _DARK)
    if len(density) < _LEAST_PX:
        return None
    blue, green, red = density.T
    seen = _spread(green)
    return max(_spread(red - green), _spread(blue - green)) / seen if seen >= _STRUCTURE else None


def _spread(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    low, high = np.percentile(values, _RANGE)
    return float(high - low)


class Colourless:
    """Told of every field; one sentence when they have no colour. For one thread."""

    def __init__(self, um_per_px: float) -> None:
        self._um_per_px = um_per_px
        self._step = max(1, int(_SPARSE_UM / um_per_px))
        self._n_offered = 0
        self._shares: list[float] = []
        self._is_grey = self._said = False

    def look(self, image: Image) -> None:
        """Before the field's pixels are let go of, as the camera gave them. `image` is BGR, uint8 [H, W, 3]."""
        looks = is_looked_at(self._n_offered, AT_FIRST, THEN_EVERY) and len(self._shares) < ENOUGH
        self._n_offered += 1
        if self._said or self._is_grey:
            return
        sparse = image[:: self._step, :: self._step]
        equal = np.array_equal(sparse[..., 1], sparse[..., 2]) and np.array_equal(sparse[..., 0], sparse[..., 1])
        if (looks or equal) and (share := colour_share(image, self._um_per_px)) is not None:
            self._is_grey = equal
            self._shares.append(share)

    def sentence(self, *, is_last: bool = False) -> str:
        """What to say, once; empty before and ever after. `is_last`: no field comes any more; then a few suffice that agree."""
        few = len(self._shares) < ENOUGH
        if self._said or not (self._is_grey or not few or (is_last and len(self._shares) >= FEW)):
            return ""
        middle = max(self._shares) if few and not self._is_grey else statistics.median(self._shares)
        if not self._is_grey and middle > LEAST:
            return ""
        self._said = True
        what = "a field has no colour, its red, green and blue are the same"
        if not self._is_grey:
            what = f"the fields have next to no colour ({middle:.2f} of what they show, and stained smears have 0.4 or more)"
        return (
            f"{what}: the model knows cells by their colours, so that most are missed and the others take another type; set "
            "the camera to a colour format (RGB8, BGR8 or its Bayer pattern, not Mono8) and to full saturation, give pictures "
            "in colour, and repeat the run."
        )
