"""Whether two boxes of different fields can be the same cell, where a field may show only a part of it.

A border cuts a box: the cell goes on behind it. What the field does show still bounds the cell: an edge of a box that is cut
nowhere is where the cell ends (firm); so is the edge opposite to the one cut; the edges beside it are only where the visible
part ends, and the cell reaches at least that far.
"""

import math
from dataclasses import dataclass

LARGEST_CELL_UM = 26.0
"""Two parts that would make a larger cell together are two cells; a monocyte on a smear is up to 20 um across."""
_SHARED = 0.5
"""Of the smaller part's side along a border: how much both sides of it must have in common to be one cell."""
Box = tuple[float, float, float, float]
Sides = tuple[bool, bool, bool, bool]
WHOLE: Sides = (False, False, False, False)


@dataclass(frozen=True, slots=True)
class Seen:
    """A cell as one field shows it: x1 y1 x2 y2 in um on the stage, and which of these sides the field's border cuts."""

    box_um: Box
    cut: Sides = WHOLE

    @property
    def is_whole(self) -> bool:
        return not any(self.cut)

    @property
    def centre_um(self) -> tuple[float, float]:
        x1, y1, x2, y2 = self.box_um
        return (x1 + x2) / 2, (y1 + y2) / 2


def apart_um(a: Seen, b: Seen, tolerance_um: float) -> float | None:
    """How far two views of one cell are from each other; None when they cannot be one cell within `tolerance_um`.

    Symmetric. Between whole boxes the distance of the centres; where a border cuts one, the mean difference of the edges that
    both show.
    """
    if a.is_whole and b.is_whole:
        (ax, ay), (bx, by) = a.centre_um, b.centre_um
        distance = math.hypot(ax - bx, ay - by)
        return distance if distance <= tolerance_um else None
    differences: list[float] = []
    for axis in (0, 1):
        if not _fits(a, b, axis, tolerance_um, differences):
            return None
    if differences:
        return sum(differences) / len(differences)
    return _along_a_side(a, b, tolerance_um)


def _fits(a: Seen, b: Seen, axis: int, tolerance_um: float, differences: list[float]) -> bool:
    """One axis: whether the two intervals can be of one cell; adds the differences of edges that both show."""
    a_low, a_high, b_low, b_high = a.box_um[axis], a.box_um[axis + 2], b.box_um[axis], b.box_um[axis + 2]
    if min(a_high, b_high) - max(a_low, b_low) < -tolerance_um or max(a_high, b_high) - min(a_low, b_low) > LARGEST_CELL_UM:
        return False
    # Outwards is down for the low edge, so both ends are held against each other as "how far out".
    for end, sign in ((axis, -1.0), (axis + 2, 1.0)):
        a_out, b_out = sign * a.box_um[end], sign * b.box_um[end]
        a_firm, b_firm = _is_firm(a, end), _is_firm(b, end)
        if a_firm and b_firm:
            if abs(a_out - b_out) > tolerance_um:
                return False
            differences.append(abs(a_out - b_out))
        elif (a_firm and b_out > a_out + tolerance_um) or (b_firm and a_out > b_out + tolerance_um):
            return False
    return True


def _is_firm(seen: Seen, end: int) -> bool:
    beside = (end + 1) % 2
    return not (seen.cut[end] or seen.cut[beside] or seen.cut[beside + 2])


def _along_a_side(a: Seen, b: Seen, tolerance_um: float) -> float | None:
    """Two parts that show no edge in common: how much they differ along the border between them. Never nearer than half the
    tolerance, so that whatever shows an edge goes first."""
    best = None
    for axis in (0, 1):
        a_low, a_high, b_low, b_high = a.box_um[axis], a.box_um[axis + 2], b.box_um[axis], b.box_um[axis + 2]
        smaller = min(a_high - a_low, b_high - b_low)
        if smaller > 0 and (min(a_high, b_high) - max(a_low, b_low)) / smaller >= _SHARED:
            difference = (abs(a_low - b_low) + abs(a_high - b_high)) / 2
            best = difference if best is None else min(best, difference)
    return None if best is None else (tolerance_um + min(best, tolerance_um)) / 2
