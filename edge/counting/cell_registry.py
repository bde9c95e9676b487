"""Each cell once: detections of overlapping fields that are one cell are counted as one.

Two detections of different fields are linked when each is the other's nearest in its field and they can be one cell. What is
linked, directly or over others, is one cell, but never two detections of one field: there the longest links give way. So the
count depends only on which fields have ended, not on the order in which they did. Work per field does not grow with the slide:
only what lies in the same squares of the stage is looked at, and there a settled cell is one view.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.counting.same_cell import Seen, apart_um

_SQUARE_UM = 32.0
"""More than the largest cell and the largest tolerance together: two views of one cell lie in neighbouring squares."""


@dataclass(slots=True, eq=False)
class View:
    """One detection of one field. `links`: what it is linked to, with the distance in um."""

    field_index: int
    number: int
    seen: Seen
    label: str
    presence: float
    links: "dict[View, float]" = field(default_factory=dict)
    is_settled: bool = False
    """It stands for a cell that is counted for good; what comes later repeats it, whatever its index."""

    @property
    def rank(self) -> tuple[bool, float, int, int]:
        """Whose label the cell takes: a whole view before a cut one, then the surest, then the first."""
        return (not self.seen.is_whole, -self.presence, self.field_index, self.number)

    @property
    def order(self) -> tuple[bool, int, int]:
        """Whose cell it is among several views of it: the first."""
        return (not self.is_settled, self.field_index, self.number)


@dataclass(frozen=True, slots=True)
class Merge:
    """Two detections that were found to be one cell, by field index and number, and their distance in um."""

    field_index: int
    number: int
    of_field_index: int
    of_number: int
    distance_um: float


class CellRegistry:
    """All cells of a slide on the stage. For one thread."""

    def __init__(self, tolerance_um: float) -> None:
        self._tolerance_um = tolerance_um
        self._squares: dict[tuple[int, int], list[View]] = defaultdict(list)

    def add(self, views: Sequence[View]) -> list[Merge]:
        """All detections of one field, once; which of them are cells that were seen before."""
        near: dict[int, list[tuple[View, View]]] = defaultdict(list)
        for one in views:
            for other in self._near(one):
                near[other.field_index].append((one, other))
        merges = []
        for _, pairs in sorted(near.items()):
            for mine, other, distance_um in self._mutual(pairs):
                mine.links[other] = other.links[mine] = distance_um
                merges.append(Merge(mine.field_index, mine.number, other.field_index, other.number, distance_um))
        for one in views:
            self._squares[_square(one)].append(one)
        return merges

    def forget(self, views: Sequence[View]) -> None:
        """As if they had never been found. None of them stands for a settled cell."""
        for view in views:
            self._squares[_square(view)].remove(view)
            for other in view.links:
                other.links.pop(view, None)
            view.links.clear()

    def settle(self, cell: Sequence[View]) -> None:
        """From now on one view stands for `cell` (from `cell_of`), its settled one or its best; the others are forgotten."""
        stays = cell[0] if cell[0].is_settled else min(cell, key=lambda view: view.rank)
        for view in cell:
            if view is not stays:
                self._squares[_square(view)].remove(view)
            for other in view.links:
                other.links.pop(view, None)
            view.links.clear()
        stays.is_settled = True

    def _mutual(self, pairs: Sequence[tuple[View, View]]) -> list[tuple[View, View, float]]:
        """Of pairs of the new field's detections and those of another field: which are each other's nearest."""
        mine_best: dict[View, tuple[float, int, View]] = {}
        other_best: dict[View, tuple[float, int, View]] = {}
        for mine, other in pairs:
            distance_um = apart_um(mine.seen, other.seen, self._tolerance_um)
            if distance_um is None:
                continue
            if mine not in mine_best or (distance_um, other.number) < mine_best[mine][:2]:
                mine_best[mine] = (distance_um, other.number, other)
            if other not in other_best or (distance_um, mine.number) < other_best[other][:2]:
                other_best[other] = (distance_um, mine.number, mine)
        best = ((mine, other, distance_um) for mine, (distance_um, _, other) in mine_best.items())
        return [pair for pair in best if other_best[pair[1]][2] is pair[0]]

    def _near(self, one: View) -> list[View]:
        """Those that `apart_um` may find to be the same: boxes further from each other than the tolerance are none of them, and
        where cells lie dense these are nearly all."""
        column, row = _square(one)
        x1, y1, x2, y2 = one.seen.box_um
        left, top, right, bottom = (
            x1 - self._tolerance_um,
            y1 - self._tolerance_um,
            x2 + self._tolerance_um,
            y2 + self._tolerance_um,
        )
        around = ((column + dx, row + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1))
        found = []
        for square in around:
            for other in self._squares.get(square, ()):
                a1, b1, a2, b2 = other.seen.box_um
                if a1 <= right and a2 >= left and b1 <= bottom and b2 >= top and other.field_index != one.field_index:
                    found.append(other)
        return found


def cell_of(one: View) -> list[View]:
    """All views of the cell that `one` shows, its own first in `order` at the front.

    Of links that would join two detections of one field, or two settled cells, the longest give way.
    """
    joined = joined_to(one)
    if len(joined) == len({view.field_index for view in joined}) and sum(view.is_settled for view in joined) <= 1:
        return sorted(joined, key=lambda view: view.order)
    cells = {view: [view] for view in joined}
    # A settled cell is linked to what its views were linked to, and `joined_to` has not looked beyond it.
    pairs = ((a, b, distance) for a in joined for b, distance in a.links.items() if a.order < b.order and b in cells)
    links = sorted(((distance, a.order, b.order, a, b) for a, b, distance in pairs), key=lambda link: link[:3])
    for _, _, _, a, b in links:
        if cells[a] is cells[b] or _clash(cells[a], cells[b]):
            continue
        cells[a].extend(cells[b])
        for view in list(cells[b]):
            cells[view] = cells[a]
    return sorted(cells[one], key=lambda view: view.order)


def joined_to(one: View) -> list[View]:
    """Everything that is linked to `one`, directly or over others, itself first."""
    found, ahead = {one: None}, [one]
    while ahead:
        view = ahead.pop()
        # A settled cell ends the search: what else was ever linked to it belongs to it, and not to `one`.
        for other in () if view.is_settled and view is not one else view.links:
            if other not in found:
                found[other] = None
                ahead.append(other)
    return list(found)


def _clash(a: Sequence[View], b: Sequence[View]) -> bool:
    fields = {view.field_index for view in a}
    both_settled = any(view.is_settled for view in a) and any(view.is_settled for view in b)
    return both_settled or any(view.field_index in fields for view in b)


def _square(view: View) -> tuple[int, int]:
    x_um, y_um = view.seen.centre_um
    return int(x_um // _SQUARE_UM), int(y_um // _SQUARE_UM)
