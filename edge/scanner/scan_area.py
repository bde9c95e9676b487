"""Where the fields of a virtual scan lie and in which order they are visited."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Order = Literal["snake", "rows", "random"]
FIELD_UM = (732 * 0.13, 574 * 0.13)


@dataclass(frozen=True, slots=True)
class ScanArea:
    """A rectangle of `fields` places, each of which shows `overlap` of its neighbour's side again; `order` by the seed.

    `origin_um` is the centre of the first row's first field.
    """

    fields: int
    overlap: float
    order: Order = "snake"
    seed: int = 0
    origin_um: tuple[float, float] = (0.0, 0.0)

    @property
    def step_um(self) -> tuple[float, float]:
        width, height = FIELD_UM
        return width * (1 - self.overlap), height * (1 - self.overlap)

    def positions_um(self) -> list[tuple[float, float]]:
        """The centre of each field, by its index; near a square on the glass."""
        step_x, step_y = self.step_um
        columns = max(1, math.ceil(math.sqrt(self.fields * step_y / step_x)))
        places = []
        for index in range(self.fields):
            row, along = divmod(index, columns)
            column = columns - 1 - along if self.order != "rows" and row % 2 else along
            places.append((self.origin_um[0] + column * step_x, self.origin_um[1] + row * step_y))
        if self.order == "random":
            mixed = np.random.default_rng([self.seed, 0x0DE5]).permutation(self.fields)
            places = [places[at] for at in mixed]
        return places


def fields_for(target: int, wbc_per_field: float, overlap: float) -> int:
    """So many fields as hold `target` leukocytes with near certainty, and some to spare for those that are lost."""
    new_per_field = max(wbc_per_field * (1 - overlap) ** 2, 1e-3)
    wanted = target + 5 * math.sqrt(target) + 10
    return min(100_000, math.ceil(1.25 * wanted / new_per_field) + 20)
