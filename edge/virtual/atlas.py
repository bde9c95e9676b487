"""A library of painted cells: a few variants per class, and the red cells and platelets between them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge.contracts.cells import INDEX, N_CLASSES, NAMES
from edge.contracts.detections import Float32, Image
from edge.contracts.errors import ConfigError
from edge.virtual.cell_painting import Painted, paint_artefact, paint_cell, paint_platelet, paint_red_cell, paint_smudge
from edge.virtual.cell_recipes import RECIPES
from edge.virtual.shapes import Textures
from edge.virtual.stain import AMOUNT_STEPS, Stain, draw_stain

MARGIN_PX = 3
"""Soft edge around the box of a sprite, the same on all four sides."""

RED_CELL = N_CLASSES
PLATELET = N_CLASSES + 1
"""Labels beyond the classes: painted and never reported."""

_OPAQUE = 0.5
_GIANT_UM = (5.5, 11.0)
_ORDINARY_UM = (1.7, 3.4)
_PALLOR = 0.5


@dataclass(frozen=True, slots=True)
class Sprite:
    """One painted cell in one stain.

    `bgr` uint8 [h, w, 3] as it looks on the empty slide; `transmission` uint8 [h, w, 3], 255 = clear, to multiply onto an
    image; `alpha` float32 [h, w], 1 inside the cell, to blend `bgr` over an image. The cell's box (where `alpha` >= 0.5)
    is the sprite without `MARGIN_PX` on each side.
    """

    label: int
    variant: int
    bgr: Image
    transmission: Image
    alpha: Float32

    @property
    def box_px(self) -> tuple[int, int, int, int]:
        """x1 y1 x2 y2 of the cell within the sprite; x2, y2 exclusive."""
        height, width = self.alpha.shape
        return MARGIN_PX, MARGIN_PX, width - MARGIN_PX, height - MARGIN_PX


def _trimmed(planes: Float32, mask: Float32) -> tuple[Image, Image]:
    """Cut to the box of the mask plus the margin. Dye beyond the margin is the faintest part of a soft edge."""
    padded = np.pad(mask, MARGIN_PX)
    rows, columns = np.flatnonzero((padded >= _OPAQUE).any(1)), np.flatnonzero((padded >= _OPAQUE).any(0))
    down = slice(int(rows[0]) - MARGIN_PX, int(rows[-1]) + 1 + MARGIN_PX)
    across = slice(int(columns[0]) - MARGIN_PX, int(columns[-1]) + 1 + MARGIN_PX)
    amounts = np.pad(planes, ((0, 0), (MARGIN_PX, MARGIN_PX), (MARGIN_PX, MARGIN_PX)))[:, down, across] * AMOUNT_STEPS
    dyes = cv2.merge([cv2.convertScaleAbs(np.maximum(plane, 0.0)) for plane in amounts])
    return dyes.astype(np.uint8, copy=False), cv2.convertScaleAbs(padded[down, across], alpha=255.0).astype(
        np.uint8, copy=False
    )


class CellAtlas:
    """Painted cells of one seed: `variants` of each of the 15 classes, painted when first asked for.

    Shapes depend on `seed`, label and variant only; `stain` decides colour, and any other stain can be asked for.
    """

    def __init__(self, seed: int = 0, variants: int = 16, stain: Stain | None = None) -> None:
        self.seed = seed
        self.variants = variants
        self.stain = draw_stain(np.random.default_rng([seed, 0x57A1]), 1.0) if stain is None else stain
        self._textures = Textures(seed)
        self._shapes: dict[tuple[int, int], tuple[Image, Image]] = {}
        slide = np.random.default_rng([seed, 0x9A11])
        self._red = (float(slide.normal(_PALLOR, 0.12)), float(slide.uniform(0.6, 1.8)))

    def _paint(self, rng: np.random.Generator, label: int) -> Painted:
        special: dict[int, Callable[[], Painted]] = {
            INDEX["platelet_giant"]: lambda: paint_platelet(rng, self._textures, _GIANT_UM),
            INDEX["smudge"]: lambda: paint_smudge(rng, self._textures),
            INDEX["artefact"]: lambda: paint_artefact(rng, self._textures),
            PLATELET: lambda: paint_platelet(rng, self._textures, _ORDINARY_UM),
            RED_CELL: lambda: paint_red_cell(rng, self._textures, *self._red),
        }
        if label in special:
            return special[label]()
        return paint_cell(rng, RECIPES[NAMES[label]], self._textures)

    def shape(self, label: int, variant: int) -> tuple[Image, Image]:
        """Dye planes uint8 [h, w, 4] and alpha uint8 [h, w] of one cell, before any stain."""
        if not 0 <= label <= PLATELET or variant < 0:
            raise ConfigError(f"there is no sprite {label}/{variant}; labels are 0 to {PLATELET}, variants start at 0.")
        key = (label, variant)
        if key not in self._shapes:
            planes, mask = self._paint(np.random.default_rng([self.seed, label, variant]), label)
            self._shapes[key] = _trimmed(planes, mask)
        return self._shapes[key]

    def sprite(self, label: int, variant: int, stain: Stain | None = None) -> Sprite:
        """One cell. `label` is an index of `CELLS`, `RED_CELL` or `PLATELET`; variants beyond `variants` are painted too."""
        chosen = self.stain if stain is None else stain
        dyes, alpha = self.shape(label, variant)
        transmission = chosen.transmission(dyes)
        light = np.asarray(chosen.light_bgr, np.float32)
        return Sprite(
            label,
            variant,
            np.rint(transmission * (light / 255.0)).astype(np.uint8),
            transmission,
            alpha.astype(np.float32) / 255.0,
        )
