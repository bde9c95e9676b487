"""A stage that does not stand where it says: repeatability, backlash and the time it takes to settle. Emulated, seeded.

After a move the stage swings out: what is left of the way falls by the same share in equal times, from `_SWING_UM` at its end
to a thousandth of that after the settle time. Who exposes sooner finds the field off its place and smeared along the move.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from edge.contracts.base import Strict

_SWING_UM = 20.0
"""How far off the stage is at the moment at which it has arrived; chosen here."""
_FALL = math.log(1000.0)

Point = tuple[float, float]


class StageSettings(Strict):
    """How far positions may be off, and how long to wait after a move."""

    repeatability_um: float = Field(0.5, ge=0, le=20, description="largest error of a position by chance, each axis")
    backlash_um: float = Field(
        0.5, ge=0, le=20, description="a position that is reached falling lies so much above one reached rising"
    )
    settle_ms: float = Field(150.0, ge=0, le=10_000, description="after a move the scanner waits so long")

    @property
    def largest_error_um(self) -> float:
        """Of a position, each axis, when the stage has settled."""
        return self.repeatability_um + self.backlash_um / 2

    @property
    def sigma_um(self) -> float:
        """Standard deviation of a position: a part that is spread evenly, and one that is one of two values."""
        return math.hypot(self.repeatability_um / math.sqrt(3.0), self.backlash_um / 2)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the stage really was when the shutter was open, and how far it moved meanwhile, um."""

    x_um: float
    y_um: float
    smear_um: Point = (0.0, 0.0)


class VirtualStage:
    """Moved from position to position; errors are drawn from `seed` and the number of the move."""

    def __init__(self, settings: StageSettings, seed: int) -> None:
        self._settings = settings
        self._seed = seed
        self._told: Point = (0.0, 0.0)
        self._side: Point = (-1.0, -1.0)
        """which side of the play each axis rests on: -1 after it rose, 1 after it fell"""
        self._stuck_at: Standing | None = None

    def move(self, move: int, to_um: Point, exposure_ms: float, waited: float = 1.0, *, stuck: bool = False) -> Standing:
        """Go to `to_um`, wait that share of the settle time, and expose. `stuck`: it says it went, and stays where it was."""
        way = to_um[0] - self._told[0], to_um[1] - self._told[1]
        before = self._stuck_at
        self._told = to_um
        if stuck and before is not None:
            return before
        self._side = tuple(side if part == 0 else -math.copysign(1.0, part) for side, part in zip(self._side, way, strict=True))  # type: ignore[assignment]
        rng = np.random.default_rng([self._seed, 0x57A6E, move])
        by_chance = rng.uniform(-1.0, 1.0, 2) * self._settings.repeatability_um
        length = math.hypot(*way)
        left_um = _SWING_UM * math.exp(-_FALL * waited) if length and self._settings.settle_ms else 0.0
        along = (way[0] / length, way[1] / length) if length else (0.0, 0.0)
        settle_ms = self._settings.settle_ms or 1.0
        smear_um = left_um * min(1.0, _FALL * exposure_ms / settle_ms)
        place = [
            to_um[axis] + float(by_chance[axis]) + self._side[axis] * self._settings.backlash_um / 2 - along[axis] * left_um
            for axis in (0, 1)
        ]
        standing = Standing(place[0], place[1], (along[0] * smear_um, along[1] * smear_um))
        self._stuck_at = Standing(place[0], place[1])
        return standing
