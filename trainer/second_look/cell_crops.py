"""What the second look is trained on: crops around annotated cells and around places where there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.camera.resample import background_of
from edge.contracts.cells import CELLS, INDEX, N_CLASSES
from edge.contracts.detections import Float32, Image
from trainer.data.annotation import IGNORE, NEUTROPHILS, UNTYPED_NEUTROPHIL, UNTYPED_WBC, Annotation
from trainer.data.compose.augment import augment
from trainer.data.compose.field import Field
from trainer.data.image_store import ImageStore
from trainer.second_look.drawn_crops import DrawnFields
from trainer.second_look.look_network import N_OUTPUTS, NO_CELL, UNKNOWN
from trainer.second_look.look_recipe import LookRecipe
from trainer.second_look.strange_crops import Seen, strange_crop

Point = tuple[float, float]
Points = NDArray[np.float64]


GROUP = 4
"""Crops that are drawn under one stain and lamp: what that costs is shared."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cell, or a place without one: `label` as in `Annotation`, or `NO_CELL`. Centre and longer side in px of the image."""

    row: Annotation
    centre_px: Point
    side_px: float
    label: int


def annotated_places(rows: Sequence[Annotation]) -> list[Place]:
    """Every cell of the rows that says something of its type."""
    places = []
    for row in rows:
        for box, label in zip(row.boxes_px.tolist(), row.labels.tolist(), strict=True):
            if label != IGNORE:
                places.append(place_of(row, box, label))
    return places


def place_of(row: Annotation, box: Sequence[float], label: int) -> Place:
    """The place of a box x1 y1 x2 y2."""
    x1, y1, x2, y2 = box
    return Place(row, ((x1 + x2) / 2, (y1 + y2) / 2), max(x2 - x1, y2 - y1), label)


def allowed_by(label: int) -> NDArray[np.bool_]:
    """[N_OUTPUTS]: which outputs agree with a label."""
    allowed = np.zeros(N_OUTPUTS, np.bool_)
    if label == UNTYPED_WBC:
        allowed[: len(CELLS)] = [cell.is_wbc for cell in CELLS]
    elif label == UNTYPED_NEUTROPHIL:
        allowed[list(NEUTROPHILS)] = True
    else:
        allowed[label] = True
    return allowed


class CropSource:
    """Draws crops with their labels. The images are decoded once, at the scale of the crops.

    A stratum is a label, and within it a source: rare types and small laboratories are seen as often as `LookRecipe` says.
    """

    def __init__(self, places: Sequence[Place], recipe: LookRecipe, store: ImageStore | None = None) -> None:
        self._recipe = recipe
        self._store = store or ImageStore(recipe.um_per_px)
        untaught = [INDEX[name] for name in recipe.leave_out]
        self._drawn = DrawnFields(recipe.seed, recipe.um_per_px, recipe.drawn_fields, untaught)
        strata: dict[tuple[int, str], list[Place]] = {}
        for place in places:
            strata.setdefault((place.label, place.row.source), []).append(place)
        self._strata = [strata[key] for key in sorted(strata)]
        self._shares = self._shares_of(sorted(strata), [len(strata[key]) for key in sorted(strata)])
        self._typed = [k for k, (label, _) in enumerate(sorted(strata)) if 0 <= label < N_CLASSES]
        # What is altered is neither of two types: of one alone there is nothing to tell it from.
        types = {self._strata[k][0].label for k in self._typed}
        self._strange_share = recipe.strange_share if len(types) > 1 else 0.0

    def _shares_of(self, keys: Sequence[tuple[int, str]], sizes: Sequence[int]) -> NDArray[np.float64]:
        """How often each stratum is drawn: labels by the root of what there is of them, likewise sources within a label."""
        shares = np.zeros(len(keys))
        for label in sorted({label for label, _ in keys}):
            mine = [k for k, key in enumerate(keys) if key[0] == label]
            weights = np.sqrt([sizes[k] for k in mine])
            total = sum(sizes[k] for k in mine) ** self._recipe.class_power
            shares[mine] = weights / weights.sum() * (1.0 if label == NO_CELL else total)
        cells = np.array([label != NO_CELL for label, _ in keys])
        empty = self._recipe.no_cell_share if (~cells).any() else 0.0
        shares[cells] *= (1 - empty) / shares[cells].sum()
        if (~cells).any():
            shares[~cells] *= empty / shares[~cells].sum()
        return shares

    def draw_group(self, rng: np.random.Generator) -> list[tuple[Image, int]]:
        """`GROUP` crops, uint8 [S, S, 3] BGR, with their labels, all under the same drawn stain, lamp and optics."""
        of_drawn = rng.random() < self._recipe.drawn_share
        drawn = [self._cut_drawn(rng) if of_drawn else self._photographed(rng) for _ in range(GROUP)]
        field = Field(np.hstack([crop for crop, _ in drawn]), np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
        seen = augment(field, rng, self._recipe.augment, self._recipe.um_per_px).image
        return [(crop, label) for crop, (_, label) in zip(np.hsplit(seen, GROUP), drawn, strict=True)]

    def _photographed(self, rng: np.random.Generator) -> tuple[Image, int]:
        if self._strange_share and rng.random() < self._strange_share:
            cell = self._seen(rng)
            return strange_crop(rng, cell, self._seen(rng, cell.label)), UNKNOWN
        return self._cut(rng)

    def _cut(self, rng: np.random.Generator) -> tuple[Image, int]:
        """One crop with its label, as photographed."""
        recipe = self._recipe
        stratum = self._strata[int(rng.choice(len(self._strata), p=self._shares))]
        image, boxes, centre, side, label = self._placed(stratum, rng)
        if label == NO_CELL:
            if rng.random() < recipe.anywhere_share:
                centre = _anywhere(image, boxes, rng, centre)
        elif rng.random() < recipe.off_cell_share:
            # A window beside a cell shows a piece of it: that is what a box on a fragment shows, and it is not the cell.
            angle = float(rng.uniform(0, 2 * np.pi))
            beside = centre + np.array([np.cos(angle), np.sin(angle)]) * side * float(rng.uniform(0.75, 1.1))
            if not _on_a_cell(beside, boxes):
                centre, label = beside, NO_CELL
        centre = centre + rng.normal(0, recipe.centre_jitter, 2) * side
        return cut_crop(image, (float(centre[0]), float(centre[1])), recipe.crop_side_px, self._scale(rng), rng), label

    def _placed(self, stratum: Sequence[Place], rng: np.random.Generator) -> tuple[Image, Float32, Points, float, int]:
        """Image and boxes, centre and longer side of one place, in px of the crops, and its label."""
        place = stratum[int(rng.integers(len(stratum)))]
        image, boxes, _ = self._store.get(place.row)
        factor = image.shape[1] / place.row.width_px
        return image, boxes, np.array(place.centre_px) * factor, place.side_px * factor, place.label

    def _seen(self, rng: np.random.Generator, other_than: int | None = None) -> Seen:
        """A cell of known type, of another one than `other_than`."""
        able = [k for k in self._typed if self._strata[k][0].label != other_than]
        shares = self._shares[able]
        stratum = self._strata[able[int(rng.choice(len(able), p=shares / shares.sum()))]]
        image, _, centre, side, label = self._placed(stratum, rng)
        x, y = (centre + rng.normal(0, self._recipe.centre_jitter, 2) * side).tolist()
        scale = self._scale(rng)
        return Seen(label, side * scale, lambda more: cut_crop(image, (x, y), self._recipe.crop_side_px, scale * more, rng))

    def _cut_drawn(self, rng: np.random.Generator) -> tuple[Image, int]:
        image, centre, label = self._drawn.place(rng, self._recipe.no_cell_share)
        return cut_crop(image, centre, self._recipe.crop_side_px, self._scale(rng), rng), label

    def _scale(self, rng: np.random.Generator) -> float:
        return float(np.exp(rng.uniform(np.log(self._recipe.scale_min), np.log(self._recipe.scale_max))))


def _anywhere(image: Image, boxes: Float32, rng: np.random.Generator, instead: Points) -> Points:
    """A point away from all cells: any, or of several the one whose pixel is most like stained nuclei (red above green)."""
    points = rng.uniform(0, 1, (int(rng.choice((1, 40))), 2)) * (np.array(image.shape[1::-1]) - 1)
    points = points[[not _on_a_cell(point, boxes, around=1.6) for point in points]]
    if not len(points):
        return instead
    seen = image[points[:, 1].astype(int), points[:, 0].astype(int)].astype(np.int32)
    return np.asarray(points[int((seen[:, 2] + seen[:, 0] - 2 * seen[:, 1]).argmax())])


def _on_a_cell(point: Points, boxes: Float32, around: float = 1.0) -> bool:
    if not len(boxes):
        return False
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * around
    return bool((np.abs(point - middle) < half * 0.75).all(axis=1).any())


def cut_crop(image: Image, centre: Point, side_px: int, scale: float, rng: np.random.Generator | None = None) -> Image:
    """A square of `side_px` around `centre`, enlarged by `scale`; turned and mirrored at random when a generator is given.

    What lies outside the image is the slide's background or its edge goes on, as a fitted field has it.
    """
    angle, mirror, border, colour = 0.0, 1.0, cv2.BORDER_REPLICATE, (0.0, 0.0, 0.0)
    if rng is not None:
        angle, mirror = float(rng.uniform(0, 2 * np.pi)), float(rng.choice((-1.0, 1.0)))
        if rng.random() < 0.75:
            border = cv2.BORDER_CONSTANT
            blue, green, red = background_of(image).tolist()
            colour = (blue, green, red)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([mirror, 1.0]) / scale
    # Pixel centres are at half integers: from the outer corner of the crop to the outer corner of the image and back.
    middle = np.array(centre) - 0.5 - turn @ np.full(2, side_px / 2 - 0.5)
    matrix = np.hstack([turn, middle[:, None]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(image, matrix, (side_px, side_px), flags=flags, borderMode=border, borderValue=colour)
    return np.asarray(cut, np.uint8)
