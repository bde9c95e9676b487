"""Which counts are final while a slide is still being scanned: those of fields that nothing announced can change any more.

The frontier is the longest run of announced field indices whose fields, and all announced fields that overlap them, have ended.
Cells of fields up to it are final; the rest is provisional. What arrives behind it later (a revisit, a replacement) changes
nothing that was final: where it would, that is a correction, on record.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.counting.cell_registry import CellRegistry, Merge, View, cell_of, joined_to
from edge.counting.same_cell import Box


@dataclass(frozen=True, slots=True)
class Correction:
    """A cell that was final as `label`, by the view that stands for it, and what a later and better view of it says."""

    field_index: int
    number: int
    label: str
    would_be: str
    by_field_index: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A field that has become final, and the labels of the cells that did with it: by y, then x, of its own views of them."""

    field_index: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """What the end of a field brought: detections seen before, corrections, and the fields that have become final with it,
    in the order of their index."""

    merges: tuple[Merge, ...]
    corrections: tuple[Correction, ...]
    settled: tuple[Settled, ...]

    @property
    def final_fields(self) -> tuple[int, ...]:
        return tuple(each.field_index for each in self.settled)


class SlideCount:
    """Each cell of a slide once, final and provisional. For one thread.

    `announce` every field before it ends, with where it lies (x1 y1 x2 y2 in um on the stage) or None where the scanner does
    not say: such a field overlaps nothing. `end` it once, with what was found in it; a field that was lost has found nothing.
    `tolerance_um` is how far two views of one cell may be apart.
    """

    def __init__(self, tolerance_um: float) -> None:
        self._margin_um = 2 * tolerance_um
        self._registry = CellRegistry(tolerance_um)
        self._announced: set[int] = set()
        self._open: dict[int, Box | None] = {}
        self._waiting: list[int] = []
        self._ended: dict[int, tuple[Box | None, Sequence[View]]] = {}
        self._labels: dict[View, str] = {}
        self._final: Counter[str] = Counter()
        self._provisional: Counter[str] = Counter()
        self._standing: dict[View, str] = {}
        """First views of provisional cells, and the label of each."""
        self._consumed: set[View] = set()
        self.frontier = -1
        """Highest field index that is final; -1 before the first."""

    def announce(self, field_index: int, area_um: Box | None) -> None:
        """Raises ValueError for an index that was announced before."""
        if field_index in self._announced:
            raise ValueError(f"field {field_index} was announced before")
        self._announced.add(field_index)
        self._open[field_index] = area_um
        heapq.heappush(self._waiting, field_index)

    def end(self, field_index: int, found: Sequence[View] = ()) -> Ended:
        """Raises ValueError for a field that is not open."""
        if field_index not in self._open:
            raise ValueError(f"field {field_index} is not open")
        area_um = self._open.pop(field_index)
        self._ended[field_index] = (area_um, found)
        merges = self._registry.add(found) if area_um is not None else []
        self._look_again(dict.fromkeys(other for view in found for other in joined_to(view)))
        corrections = [one for view in found if (one := self._correction(view)) is not None]
        return Ended(tuple(merges), tuple(corrections), tuple(self._advance()))

    def withdraw(self, field_index: int) -> bool:
        """An ended field counts no more, because another one has taken its place; False when it is final, and stays."""
        if field_index not in self._ended:
            return False
        area_um, found = self._ended[field_index]
        left = [view for view in found if view not in self._consumed and not view.is_settled]
        around = dict.fromkeys(view for one in left for view in joined_to(one))
        if area_um is not None:
            self._registry.forget(left)
        self._ended[field_index] = (area_um, [view for view in found if view not in left])
        self._look_again(around)
        return True

    @property
    def final(self) -> dict[str, int]:
        """Cells per label that nothing changes any more."""
        return dict(self._final)

    @property
    def provisional(self) -> dict[str, int]:
        """Cells per label of fields that have ended beyond the frontier, as far as they are known to be cells."""
        return {label: n for label, n in self._provisional.items() if n}

    def _advance(self) -> list[Settled]:
        gone = []
        while self._waiting and self._is_final(self._waiting[0]):
            index = heapq.heappop(self._waiting)
            gone.append(Settled(index, self._settle(index)))
            self.frontier = max(self.frontier, index)
        return gone

    def _is_final(self, index: int) -> bool:
        if index in self._open:
            return False
        area_um = self._ended[index][0]
        if area_um is None:
            return True
        return not any(other is not None and _overlap(area_um, other, self._margin_um) for other in self._open.values())

    def _settle(self, index: int) -> tuple[str, ...]:
        area_um, found = self._ended.pop(index)
        cells: list[tuple[float, float, str]] = []
        for view in found:
            if view in self._consumed:
                self._consumed.discard(view)
                continue
            cell, around = cell_of(view), joined_to(view)
            self._drop(cell)
            if not cell[0].is_settled:
                best = min(cell, key=lambda one: one.rank)
                self._labels[best] = best.label
                self._final[best.label] += 1
                x_um, y_um = view.seen.centre_um
                cells.append((y_um, x_um, best.label))
            if area_um is not None:
                self._registry.settle(cell)
                self._look_again(one for one in around if one not in cell)
            self._consumed.update(one for one in cell if one is not view and not one.is_settled)
        return tuple(label for _, _, label in sorted(cells))

    def _look_again(self, views: Iterable[View]) -> None:
        """Which provisional cells these views show now, after links or views have come or gone."""
        here = list(views)
        self._drop(here)
        for view in here:
            if view in self._consumed or view.is_settled or not self._is_held(view):
                continue
            cell = cell_of(view)
            if cell[0] is view:
                label = min(cell, key=lambda one: one.rank).label
                self._standing[view] = label
                self._provisional[label] += 1

    def _drop(self, views: Iterable[View]) -> None:
        for view in views:
            if (label := self._standing.pop(view, None)) is not None:
                self._provisional[label] -= 1

    def _is_held(self, view: View) -> bool:
        ended = self._ended.get(view.field_index)
        return ended is not None and view in ended[1]

    def _correction(self, view: View) -> Correction | None:
        first = cell_of(view)[0] if view.links else view
        if not first.is_settled or first is view or view.rank > first.rank or view.label == self._labels[first]:
            return None
        return Correction(first.field_index, first.number, self._labels[first], view.label, view.field_index)


def _overlap(a: Box, b: Box, margin_um: float) -> bool:
    return a[0] < b[2] + margin_um and b[0] < a[2] + margin_um and a[1] < b[3] + margin_um and b[1] < a[3] + margin_um
