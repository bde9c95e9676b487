"""The colours that every smear shows, as one field shows them: of the empty slide, of red cells, of nuclei.

No model is needed: green tells cells from empty slide by Otsu's threshold (IEEE Trans. SMC 9, 1979), and nuclei from red cells
that they are dark in red, too, which red cells hardly are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.correction import light_at
from edge.contracts.detections import Image

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

LOOKED_AT_UM = 0.26
"""Pixels of this size are looked at: fine enough for the inside of a red cell, and noise is averaged out."""

NUCLEUS_GREEN, NUCLEUS_RED = 0.75, 0.72
"""Of the empty slide's brightness: darker in both is a nucleus."""

AROUND_NUCLEI_UM = 2.2
"""Cytoplasm: neither red cell nor empty slide."""

LEAST_SHARE = 0.01
"""Of a field that empty slide and red cells have to cover, each; a nucleus covers a tenth of it."""

LEAST_CONTRAST = 0.04
"""Optical density of red cells over the empty slide, in green: less is noise, dirt, or an empty field."""

OVEREXPOSED = 254


@dataclass(frozen=True, slots=True)
class FieldColours:
    """Medians [3] in grey levels, BGR; `nuclei` is None where none is seen. `saturated` [3]: share of the empty slide."""

    empty: Floats
    red_cells: Floats
    nuclei: Floats | None
    saturated: Floats


def density(colour: Floats) -> Floats:
    """Optical density (Lambert-Beer, natural logarithm) of grey levels."""
    return np.asarray(-np.log((colour + 1.0) / 256.0), np.float64)


def looked_at(image: Image, um_per_px: float) -> Image:
    """The image as `colours_of_small` takes it: pixels of `LOOKED_AT_UM`, or larger ones where it has them."""
    shrink = LOOKED_AT_UM / um_per_px
    if shrink < 1.5:
        return image
    size = max(1, round(image.shape[1] / shrink)), max(1, round(image.shape[0] / shrink))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def evened(small: Image, shade: Sequence[Sequence[Sequence[float]]]) -> Image:
    """Without the unevenness of a profile's light."""
    light = light_at(shade, small.shape[1], small.shape[0])
    return np.asarray(cv2.divide(small, light, dtype=cv2.CV_8U), np.uint8)


def colours_of(image: Image, um_per_px: float) -> FieldColours | None:
    """See `colours_of_small`. `image` is uint8 BGR [H, W, 3]."""
    return colours_of_small(looked_at(image, um_per_px), um_per_px)


def colours_of_small(small: Image, um_per_px: float) -> FieldColours | None:
    """The colours of a field; None without enough of empty slide and red cells. `um_per_px` is the field's own."""
    green = np.ascontiguousarray(small[..., 1])
    ground = _ground(small, green)
    if ground is None:
        return None
    step_um = max(um_per_px, LOOKED_AT_UM) if LOOKED_AT_UM / um_per_px >= 1.5 else um_per_px
    nucleus = (green < NUCLEUS_GREEN * ground[1]) & (small[..., 2] < NUCLEUS_RED * ground[2])
    reach = 2 * round(AROUND_NUCLEI_UM / step_um) + 1
    near = cv2.dilate(_shrunk(nucleus), np.ones((reach, reach), np.uint8)) > 0
    rest = green[~near]
    if rest.size < 2 * LEAST_SHARE * green.size:
        return None
    level, _ = cv2.threshold(rest.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright, dark = (green > level) & ~near, (green <= level) & ~near
    slide, cells = small[_shrunk(bright) > 0], small[_shrunk(dark) > 0]
    if min(len(slide), len(cells)) < LEAST_SHARE * green.size:
        return None
    empty, red = np.median(slide, axis=0), np.median(cells, axis=0)
    if density(red)[1] - density(empty)[1] < LEAST_CONTRAST:
        return None
    inner = small[_shrunk(nucleus) > 0]
    nuclei = np.median(inner, axis=0) if len(inner) >= 0.1 * LEAST_SHARE * green.size else None
    return FieldColours(empty, red, nuclei, np.mean(slide >= OVEREXPOSED, axis=0))


def _ground(small: Image, green: Image) -> Floats | None:
    """Roughly the empty slide, with nuclei still in the field: the median of what is bright in green."""
    level, _ = cv2.threshold(green, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = small[::2, ::2][green[::2, ::2] > level]
    return np.median(bright, axis=0) if len(bright) else None


def _shrunk(mask: Mask) -> NDArray[np.uint8]:
    """Without its rim, which is a mixture of two colours."""
    return np.asarray(cv2.erode(mask.view(np.uint8), np.ones((3, 3), np.uint8)), np.uint8)
