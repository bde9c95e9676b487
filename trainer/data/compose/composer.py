"""Training fields composed of tiles, backgrounds and single cells of several laboratories."""

import cv2
import numpy as np
from pydantic import Field as Setting

from edge.contracts.base import Fraction, Strict
from edge.contracts.detections import Float32, Image, Int32
from edge.contracts.errors import DataError
from trainer.data.annotation import IGNORE, Annotation
from trainer.data.compose.field import Field, cut_boxes, on_plain_ground, place, soft_ellipse, turned
from trainer.data.compose.mosaic import cells_set_close, tiles_side_by_side
from trainer.data.compose.painter import Painter, without_photographs
from trainer.data.compose.palette import Palette, palette_of, repainted, varied
from trainer.data.compose.scenery import Scenery, free_rectangles
from trainer.data.compose.unlike_colours import strange
from trainer.data.image_store import ImageStore, require_room

HALO = (1.04, 1.22)
"""Size of the ellipse cut out around a cell, against the one inscribed in its box."""

FEATHER_PX = (3.0, 9.0)

SURROUNDINGS_PX = 40
"""Kept around a cell that is set close to others, to be cut as its row needs."""


class ComposeSettings(Strict):
    """Shares of the ways to build a field (they need not sum to 1), and how cells are drawn."""

    whole: float = Setting(0.0, ge=0, description="an annotated image as it is: all are shown equally often")
    mosaic: float = Setting(0.34, ge=0, description="whole tiles side by side: many leukocytes")
    close: float = Setting(0.0, ge=0, description="single cells with a rim around them, side by side: most leukocytes a field")
    scenery: float = Setting(0.38, ge=0, description="red cells with few pasted leukocytes, or none: as fields of a smear are")
    centred: float = Setting(0.08, ge=0, description="one tile on a plain ground: as the edge pads small frames")
    painted: float = Setting(0.12, ge=0, description="painted cells of the classes without photographs, on real red cells")
    virtual: float = Setting(0.08, ge=0, description="fields of the virtual slide, with drawn cells of all classes")
    own_colours: Fraction = Setting(0.3, description="share of mosaics whose tiles keep their own colours")
    palette_step: float = Setting(0.04, ge=0, le=0.5, description="how far a field's colours leave the drawn image's")
    strange_palettes: Fraction = Setting(0.0, description="share of drawn colours that no image has, but some laboratories")
    amplitude_share: Fraction = Setting(0.0, description="of fields that take a part of an image's Fourier amplitudes")
    amplitude_most: Fraction = Setting(0.5, description="the largest part that they take")
    cells_pasted: tuple[float, ...] = Setting((0.2, 0.36, 0.22, 0.14, 0.08), description="weights of 0, 1, 2 ... leukocytes")
    balance: Fraction = Setting(0.7, description="0: classes as frequent as in the data; 1: all equally often")
    seed: int = Setting(1, ge=0, description="of what is prepared once: covers, painted cells")


RARE_LIMIT = 6.0
"""A class is drawn at most this many times as often as its share: a dozen images repeated endlessly are learnt by heart."""


class CellPicker:
    """Draws (image number, cell number): first the class, then the source, then one of its cells."""

    def __init__(self, labels: list[Int32], sources: list[str], balance: float) -> None:
        groups: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for number, (row, source) in enumerate(zip(labels, sources, strict=True)):
            for cell, label in enumerate(row.tolist()):
                if label != IGNORE:
                    groups.setdefault(label, {}).setdefault(source, []).append((number, cell))
        self._groups = [[by_source[name] for name in sorted(by_source)] for _, by_source in sorted(groups.items())]
        counts = np.array([sum(len(cells) for cells in group) for group in self._groups], np.float64)
        share = counts / max(1.0, counts.sum())
        even = 1.0 / max(1, len(counts))
        weights = np.minimum((1 - balance) * share + balance * even, RARE_LIMIT * share)
        self._classes = np.cumsum(weights / max(1e-9, weights.sum()))
        # Square roots: a small source is seen more often than its size, a large one still most.
        self._within = [
            np.cumsum(np.sqrt([len(cells) for cells in group]) / np.sqrt([len(cells) for cells in group]).sum())
            for group in self._groups
        ]

    def __bool__(self) -> bool:
        return bool(self._groups)

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """(image number, cell number). Only when the picker is not empty."""
        first, second = rng.random(2)
        k = min(int(np.searchsorted(self._classes, first, side="right")), len(self._groups) - 1)
        s = min(int(np.searchsorted(self._within[k], second, side="right")), len(self._groups[k]) - 1)
        cells = self._groups[k][s]
        return cells[int(rng.integers(len(cells)))]


class Composer:
    """Composes fields at the store's scale from annotations of one split. Raises `DataError` when there are none."""

    def __init__(self, store: ImageStore, annotations: list[Annotation], settings: ComposeSettings) -> None:
        if not annotations:
            raise DataError("there is no annotated image to compose fields from; check the description and the split.")
        self.settings = settings
        self.um_per_px, self._keep = store.um_per_px, store.keep
        for annotation in annotations:
            require_room(annotation, store.um_per_px)
        loaded = [store.get(annotation) for annotation in annotations]
        self._images = [image for image, _, _ in loaded]
        self._boxes: list[Float32] = [boxes for _, boxes, _ in loaded]
        self._labels: list[Int32] = [labels for _, _, labels in loaded]
        self._sources = [annotation.source for annotation in annotations]
        self._palettes = [palette_of(image, boxes) for image, boxes, _ in loaded]
        self._tiles = CellPicker(self._labels, self._sources, settings.balance)
        whole = [_uncut(labels, boxes, image.shape) for image, boxes, labels in loaded]
        self._cells = CellPicker(whole, self._sources, settings.balance)
        self._sceneries = self._make_sceneries(settings.seed) if settings.scenery + settings.painted > 0 else []
        self._painter, self._to_paint = Painter(settings.seed), without_photographs(self._labels)
        builders = {
            self._whole: settings.whole,
            self._mosaic: settings.mosaic if self._tiles else 0.0,
            self._close: settings.close if self._cells else 0.0,
            self._scenery: settings.scenery if self._sceneries else 0.0,
            self._centred: settings.centred,
            self._painted: settings.painted if self._sceneries and self._to_paint else 0.0,
            self._virtual: settings.virtual,
        }
        self._builders = list(builders)
        shares = np.array(list(builders.values()))
        if shares.sum() <= 0:
            raise DataError("no field can be composed: every share is 0 or the images have no cells; raise a share.")
        self._shares = np.cumsum(shares / shares.sum())

    def _make_sceneries(self, seed: int) -> list[Scenery]:
        sized = [(k, image.shape[1], image.shape[0], self._boxes[k]) for k, image in enumerate(self._images)]
        scraps = [scrap for row in sized for scrap in free_rectangles(*row)]
        by_source: dict[str, list[int]] = {}
        for number, source in enumerate(self._sources):
            if not (self._labels[number] == IGNORE).any():
                by_source.setdefault(source, []).append(number)
        if not scraps:
            return []
        rng = np.random.default_rng([seed, 0xC07E])
        parts = (self._images, self._palettes, self._boxes)
        return [Scenery(*parts, by_source[source], scraps, rng, self._keep) for source in sorted(by_source)]

    def compose(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        """One field of the given size; the same generator state gives the same field."""
        chosen = min(int(np.searchsorted(self._shares, rng.random(), side="right")), len(self._builders) - 1)
        return self._builders[chosen](rng, width_px, height_px)

    def picture(self, rng: np.random.Generator, width_px: int, height_px: int) -> Image:
        """A whole image, whatever it shows, stretched to that size: uint8 [height_px, width_px, 3]."""
        image = self._images[int(rng.integers(len(self._images)))]
        return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_LINEAR), np.uint8)

    def _palette(self, rng: np.random.Generator) -> Palette:
        if self.settings.strange_palettes and rng.random() < self.settings.strange_palettes:
            return strange(rng)
        return varied(self._palettes[int(rng.integers(len(self._palettes)))], rng, self.settings.palette_step)

    def _tile(self, rng: np.random.Generator, number: int, wanted: Palette | None) -> Field:
        image = self._images[number]
        if wanted is not None:
            image = repainted(image, self._palettes[number], wanted)
        return turned(Field(image, self._boxes[number], self._labels[number]), int(rng.integers(8)))

    def _own_or_shared(self, rng: np.random.Generator) -> Palette | None:
        return None if rng.random() < self.settings.own_colours else self._palette(rng)

    def _mosaic(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        wanted = self._own_or_shared(rng)
        return tiles_side_by_side(rng, width_px, height_px, lambda: self._tile(rng, self._tiles.draw(rng)[0], wanted))

    def _close(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        wanted = self._own_or_shared(rng)
        return cells_set_close(rng, width_px, height_px, lambda: self._piece(rng, wanted))

    def _piece(self, rng: np.random.Generator, wanted: Palette | None) -> tuple[Field, Float32]:
        """A cell with its surroundings, and its box in that piece."""
        number, cell = self._cells.draw(rng)
        image, box = self._images[number], self._boxes[number][cell]
        left, top = np.floor(box[:2] - SURROUNDINGS_PX).clip(0).astype(int).tolist()
        right, bottom = np.ceil(box[2:] + SURROUNDINGS_PX).astype(int).tolist()
        piece = np.ascontiguousarray(image[top:bottom, left:right])
        if wanted is not None:
            piece = repainted(piece, self._palettes[number], wanted)
        window = (left, top, left + piece.shape[1], top + piece.shape[0])
        # The drawn cell goes first, so that it can be told from its neighbours after turning.
        order = np.concatenate([[cell], np.delete(np.arange(len(self._boxes[number])), cell)]).astype(int)
        boxes, labels = cut_boxes(self._boxes[number][order], self._labels[number][order], window)
        field = turned(Field(piece, boxes, labels), int(rng.integers(8)))
        return field, field.boxes[0]

    def _background(self, rng: np.random.Generator, width_px: int, height_px: int) -> tuple[Field, Palette]:
        wanted = self._palette(rng)
        scenery = self._sceneries[int(rng.integers(len(self._sceneries)))]
        image = scenery.field(rng, width_px, height_px, wanted)
        return Field(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int32)), wanted

    def _scenery(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        field, palette = self._background(rng, width_px, height_px)
        weights = np.array(self.settings.cells_pasted)
        count = int(rng.choice(len(weights), p=weights / weights.sum())) if self._cells else 0
        for _ in range(count):
            self._paste_cell(rng, field, palette)
        return field

    def _paste_cell(self, rng: np.random.Generator, field: Field, palette: Palette) -> None:
        number, cell = self._cells.draw(rng)
        image, box = self._images[number], self._boxes[number][cell]
        around, feather_px = float(rng.uniform(*HALO)), float(rng.uniform(*FEATHER_PX))
        reach = (box[2:] - box[:2]) / 2 * (around - 1) + feather_px
        left, top = np.floor(box[:2] - reach).clip(0).astype(int).tolist()
        right, bottom = np.ceil(box[2:] + reach).astype(int).tolist()
        piece = np.ascontiguousarray(image[top:bottom, left:right])
        inside = (box - np.array([left, top, left, top], np.float32))[None]
        whole = Field(repainted(piece, self._palettes[number], palette), inside, self._labels[number][cell : cell + 1])
        whole = turned(whole, int(rng.integers(8)))
        place(rng, field, whole, soft_ellipse(whole.image.shape[1], whole.image.shape[0], whole.boxes[0], around, feather_px))

    def _centred(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        number = self._tiles.draw(rng)[0] if self._tiles else int(rng.integers(len(self._images)))
        tile = self._tile(rng, number, self._palette(rng) if rng.random() < 0.5 else None)
        return on_plain_ground(tile, width_px, height_px, 0.5, 0.5)

    def _whole(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        number = int(rng.integers(len(self._images)))
        # Mirrored only: on its side it would no longer fill a field of its own size.
        image = turned(Field(self._images[number], self._boxes[number], self._labels[number]), int(rng.integers(4)))
        return on_plain_ground(image, width_px, height_px, *rng.random(2).tolist())

    def _painted(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        field, palette = self._background(rng, width_px, height_px)
        for _ in range(int(rng.integers(1, 6))):
            if self._cells and rng.random() < 0.25:
                self._paste_cell(rng, field, palette)
                continue
            cell, alpha = self._painter.cell(rng, self._to_paint[int(rng.integers(len(self._to_paint)))], palette)
            place(rng, field, cell, alpha)
        return field

    def _virtual(self, rng: np.random.Generator, width_px: int, height_px: int) -> Field:
        return self._painter.field(rng, width_px, height_px)


def _uncut(labels: Int32, boxes: Float32, shape: tuple[int, ...]) -> Int32:
    """Labels of the cells that can be cut out whole; those at the image border become `IGNORE`."""
    if not len(boxes):
        return labels
    inside = (boxes[:, :2] > 3).all(axis=1) & (boxes[:, 2] < shape[1] - 3) & (boxes[:, 3] < shape[0] - 3)
    return np.where(inside, labels, IGNORE).astype(np.int32)
