"""Crops of drawn cells: a few of them keep drawn fields what they were to the detector, which was taught on some, too."""

from collections.abc import Collection
from functools import cached_property

import cv2
import numpy as np

from edge.contracts.detections import Image
from trainer.data.annotation import IGNORE
from trainer.data.compose.field import Field
from trainer.data.compose.painter import Painter
from trainer.second_look.look_network import NO_CELL

FIELD_UM_PER_PX = 0.13
"""Scale at which the virtual slide is drawn."""

WIDTH_PX, HEIGHT_PX = 732, 574


class DrawnFields:
    """So many fields of the virtual slides, drawn when the first crop is asked for, at the scale of the crops.

    No crop is of a cell whose label is among `untaught`.
    """

    def __init__(self, seed: int, um_per_px: float, count: int, untaught: Collection[int] = ()) -> None:
        self._seed, self._factor, self._count = seed, FIELD_UM_PER_PX / um_per_px, count
        self._untaught = [*untaught, IGNORE]

    @cached_property
    def _fields(self) -> list[Field]:
        painter, rng = Painter(self._seed), np.random.default_rng([self._seed, 1])
        size = round(WIDTH_PX * self._factor), round(HEIGHT_PX * self._factor)
        fields = []
        for _ in range(self._count):
            drawn = painter.field(rng, WIDTH_PX, HEIGHT_PX)
            image = np.asarray(cv2.resize(drawn.image, size, interpolation=cv2.INTER_AREA), np.uint8)
            fields.append(Field(image, drawn.boxes * np.float32(self._factor), drawn.labels))
        return fields

    def place(self, rng: np.random.Generator, no_cell_share: float) -> tuple[Image, tuple[float, float], int]:
        """An image, a point in it, and the label of what is there: a cell drawn from all fields alike, or none."""
        while True:
            field = self._fields[int(rng.integers(self._count))]
            if rng.random() < no_cell_share:
                x, y = (float(rng.uniform(0, side)) for side in field.image.shape[1::-1])
                reach = (field.boxes[:, 2:] - field.boxes[:, :2]).max(axis=1, initial=0.0) * 0.6
                middle = (field.boxes[:, :2] + field.boxes[:, 2:]) / 2
                if not (np.hypot(*(middle - (x, y)).T) < reach).any():
                    return field.image, (x, y), NO_CELL
            elif len(whole := np.flatnonzero(~np.isin(field.labels, self._untaught))):
                row = int(rng.choice(whole))
                x1, y1, x2, y2 = field.boxes[row].tolist()
                return field.image, ((x1 + x2) / 2, (y1 + y2) / 2), int(field.labels[row])
