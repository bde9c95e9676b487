"""Painted cells and fields, for the classes that no photograph shows."""

from collections.abc import Sequence

import numpy as np

from edge.contracts.cells import INDEX, NAMES
from edge.contracts.detections import Float32, Int32
from edge.virtual import CellAtlas, SlideSettings, VirtualSlide, draw_stain
from trainer.data.annotation import IGNORE
from trainer.data.compose.field import VISIBLE_FRACTION, Field, cut_boxes, turned
from trainer.data.compose.palette import Palette

_RARELY_PHOTOGRAPHED = ("blast", "promyelocyte", "metamyelocyte", "lymphocyte_reactive", "smudge", "platelet_giant", "artefact")
_ORDER = [INDEX[name] for name in (*_RARELY_PHOTOGRAPHED, *(name for name in NAMES if name not in _RARELY_PHOTOGRAPHED))]
"""What a seed draws depends on the order: the shipped model was trained with this one."""

VARIANTS = 40
SLIDES = 6
SIZE_STEP_PX = 256
"""Fields are rendered at multiples of this and cut: a slide prepares its optics for each size it is asked for."""

SLIDE_REACH_UM = 20000.0


def without_photographs(labels: Sequence[Int32]) -> list[int]:
    """The classes of which `labels`, an array an image, hold no cell."""
    seen = set(np.concatenate([np.zeros(0, np.int32), *labels]).tolist())
    return [label for label in _ORDER if label not in seen]


class Painter:
    """Sprites of the virtual slide's atlas, stained anew each time, and fields of a few virtual slides."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._atlas = CellAtlas(seed, VARIANTS)
        self._slides: dict[int, VirtualSlide] = {}

    def _slide(self, number: int) -> VirtualSlide:
        if number not in self._slides:
            rng = np.random.default_rng([self._seed, number])
            self._slides[number] = VirtualSlide(
                SlideSettings(
                    seed=self._seed * 1000 + number,
                    wbc_per_field_mean=float(rng.uniform(0.5, 2.5)),
                    class_mix=dict.fromkeys(NAMES, 1.0),
                    rbc_per_field_mean=float(rng.uniform(40, 120)),
                    platelets_per_field_mean=float(rng.uniform(2, 9)),
                )
            )
        return self._slides[number]

    def field(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        """A field of one of the virtual slides, all classes equally frequent."""
        slide = self._slide(int(rng.integers(SLIDES)))
        x_um, y_um = rng.uniform(-SLIDE_REACH_UM, SLIDE_REACH_UM, 2).tolist()
        width, height = (-(-side // SIZE_STEP_PX) * SIZE_STEP_PX for side in (width_px, height_px))
        seen = slide.render(x_um, y_um, width, height, int(rng.integers(2**31)))
        labels = np.where(seen.visible_fraction < VISIBLE_FRACTION, IGNORE, seen.labels).astype(np.int32)
        boxes, labels = cut_boxes(seen.boxes_px, labels, (0, 0, width_px, height_px))
        return Field(np.ascontiguousarray(seen.image[:height_px, :width_px]), boxes, labels)

    def cell(self, rng: np.random.Generator, label: int, palette: Palette) -> tuple[Field, Float32]:
        """One painted cell on the field's empty slide, and its alpha [h, w]."""
        sprite = self._atlas.sprite(label, int(rng.integers(VARIANTS)), draw_stain(rng, 1.0))
        light = 256.0 * np.exp(-palette.empty) / 255.0
        image = (sprite.transmission * light).clip(0, 255).astype(np.uint8)
        turn = int(rng.integers(8))
        cell = turned(Field(image, np.array([sprite.box_px], np.float32), np.array([label], np.int32)), turn)
        mask = (sprite.alpha * 255).astype(np.uint8)
        return cell, turned(Field(mask, cell.boxes, cell.labels), turn).image.astype(np.float32) / 255.0
