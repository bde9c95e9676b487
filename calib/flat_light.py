"""The light of a microscope over its field, from blank fields: smooth, by channel, without the dirt on the slide."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.contracts.colours import Bgr, Grid
from edge.contracts.detections import Image
from edge.contracts.errors import DataError

Floats = NDArray[np.float64]

LEAST_FIELDS = 3
"""Dirt stays where the slide is and light where the microscope is: fields from different places tell them apart."""

SHRINK = 8
DEGREE = 6
"""Of the polynomial in x and y: a lamp off centre, a vignette, the fall-off of a cheap objective."""

FITS, CLIP_SIGMA = 5, 3.0
ROWS, COLUMNS = 19, 25
"""Points of the grid that goes into the profile: between them light is straight to a thousandth."""

OVEREXPOSED, MOST_OVEREXPOSED = 254, 0.002
DARKEST = 40.0
"""Grey levels: below, a step of one level is over two per cent of the light."""

MOST_DIRT = 0.03
DIRT = 0.06
"""Of the light: a spot so much darker than its surroundings is a cell or dirt; of a field, they may cover `MOST_DIRT`."""

MOST_UNLIKE = 0.05
"""Brightness of one field against the others': more is an automatic exposure, or a lamp that is still warming up."""

LEAST_LIGHT = 0.5
"""Of the brightest part: what is darker cannot be evened out in eight bits without showing steps."""

MOST_RESIDUAL = 0.02


@dataclass(frozen=True, slots=True)
class Light:
    """`shade`: three grids relative to the brightest point; `white`: that point's level; `residual`: rms, relative."""

    shade: tuple[Grid, Grid, Grid]
    white: Bgr
    residual: float
    darkest: float
    fields: int


class LightFit:
    """Blank fields are added one by one; `light` is what they show together."""

    def __init__(self) -> None:
        self._small: list[Floats] = []
        self._names: list[str] = []

    def add(self, name: str, image: Image) -> None:
        """Raises `DataError` for a field that is no blank one, or whose light cannot be told."""
        worst = max(float((image[..., channel] >= OVEREXPOSED).mean()) for channel in range(3))
        if worst > MOST_OVEREXPOSED:
            raise DataError(
                f"{name} is overexposed ({worst:.1%} of a channel are at the upper end): how bright they are, nobody can tell; "
                "expose so that the brightest part of a blank field stays near 230, and take the fields again."
            )
        size = max(8, image.shape[1] // SHRINK), max(8, image.shape[0] // SHRINK)
        small = np.asarray(cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float64)
        level = float(np.median(small.min(axis=2)))
        if level < DARKEST:
            raise DataError(
                f"{name} is too dark (a channel is at {level:.0f} of 255); open the lamp or expose "
                "longer, until the brightest part of a blank field is near 230."
            )
        green = small[..., 1]  # red cells and most dirt show in it
        dirty = float((np.abs(green / _smooth(green)[1] - 1) > DIRT).mean())
        if dirty > MOST_DIRT:
            raise DataError(
                f"{name} is no blank field: {dirty:.0%} of it are cells, dirt or a border; take empty places of a clean slide, "
                "a little out of focus."
            )
        self._small.append(small)
        self._names.append(name)

    def light(self) -> Light:
        """Raises `DataError` when the fields are too few, of different brightness, or not smooth together."""
        if len(self._small) < LEAST_FIELDS:
            raise DataError(
                f"{len(self._small)} blank field{'s' if len(self._small) != 1 else ''} cannot tell light from dirt; take at "
                f"least {LEAST_FIELDS} at different places of the slide."
            )
        fields = np.stack(self._small)
        levels = fields.mean(axis=(1, 2))
        unlike = np.abs(levels / np.median(levels, axis=0) - 1).max(axis=1)
        worst = int(unlike.argmax())
        if unlike[worst] > MOST_UNLIKE:
            raise DataError(
                f"{self._names[worst]} is {unlike[worst]:.0%} brighter or darker than the other fields; switch "
                "automatic exposure, gain and white balance off, let the lamp warm up, and take the fields again."
            )
        middle = np.median(fields, axis=0)
        fits = [_smooth(middle[..., channel]) for channel in range(3)]
        residual = max(residual for _, _, residual in fits)
        grids = [grid for grid, _, _ in fits]
        white = [float(grid.max()) for grid in grids]
        shades = [grid / grid.max() for grid in grids]
        darkest = min(float(shade.min()) for shade in shades)
        if residual > MOST_RESIDUAL:
            raise DataError(
                f"the light of these fields is not smooth ({residual:.1%} rms off): dirt in the beam or on the camera, or the "
                "border of a diaphragm; clean, open the field diaphragm, and take the fields again."
            )
        if darkest < LEAST_LIGHT:
            raise DataError(
                f"the darkest part of the field has {darkest:.0%} of the light of the brightest; centre the lamp and open the "
                "field diaphragm: what is darker than half cannot be evened out."
            )
        blue, green, red = (tuple(tuple(round(float(v), 5) for v in row) for row in shade) for shade in shades)
        level = (round(white[0], 2), round(white[1], 2), round(white[2], 2))
        return Light((blue, green, red), level, residual, darkest, len(self._small))


def _smooth(values: Floats) -> tuple[Floats, Floats, float]:
    """[ROWS, COLUMNS] of the smooth light from border to border, the light at `values`' points, and rms off it, relative."""
    height, width = values.shape
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = (np.arange(height) + 0.5) / height * 2 - 1
    terms, flat = _terms(x, y), values.ravel()
    kept: NDArray[np.bool_] = np.ones(flat.size, bool)
    for _ in range(FITS):
        some = terms[kept]
        curve = np.linalg.solve(some.T @ some, some.T @ flat[kept])
        off = flat - terms @ curve
        sigma = 1.4826 * float(np.median(np.abs(off))) + 1e-3
        kept = np.abs(off) < CLIP_SIGMA * sigma
    fitted = np.maximum(terms @ curve, 1.0)
    grid = _terms(_even(COLUMNS), _even(ROWS)) @ curve
    residual = float(np.sqrt(np.mean(((flat - fitted) / fitted) ** 2)))
    return grid.reshape(ROWS, COLUMNS), fitted.reshape(height, width), residual


def _even(points: int) -> Floats:
    return np.asarray(np.linspace(-1, 1, points), np.float64)


def _terms(x: Floats, y: Floats) -> Floats:
    """Products of Legendre polynomials: nearly at right angles to each other, so that the normal equations are well posed."""
    across, down = np.polynomial.legendre.legvander(x, DEGREE), np.polynomial.legendre.legvander(y, DEGREE)
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]
    return np.stack([np.outer(down[:, j], across[:, i]).ravel() for i, j in powers], axis=1)
