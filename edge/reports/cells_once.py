"""Which detections of a run are views of one cell, and which of them stands for it: from what its records say of that.

The edge has decided it while it counted (`edge/counting/slide_count.py`). Here its links are read back from
`running.slide.same_cells`, and how far the count was final from `final_until`; with these the same is done again, so that no
calibration is needed.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.contracts.records import FieldRecord
from edge.counting.cell_registry import View, cell_of
from edge.counting.same_cell import WHOLE, Seen

Place = tuple[int, int]
"""Field index, and place in that field's detections."""

_NOWHERE = (0.0, 0.0, 0.0, 0.0)
_CUT = (True, True, True, True)


def cell_id(place: Place) -> str:
    """`f17c2`: letters between the numbers, so that no spreadsheet takes it for a number, a date or a time."""
    return f"f{place[0]}c{place[1]}"


@dataclass(slots=True)
class CellsOnce:
    """Feed every field in the order of the records, then ask for `stands_for`."""

    replaced: set[int] = field(default_factory=set)
    """field indices whose place another field has taken before they were final"""
    _of_earlier_runs: set[Place] = field(default_factory=set)
    """views of cells that a run which this one continues has shown"""
    _index_of: dict[str, int] = field(default_factory=dict)
    _views: dict[Place, View] = field(default_factory=dict)
    _open: dict[int, list[View]] = field(default_factory=dict)
    """views of fields that are not final yet"""
    _not_final: list[int] = field(default_factory=list)
    _final_until: int = -1
    _stands_for: dict[Place, Place] = field(default_factory=dict)
    """of cells that are final"""
    _consumed: set[View] = field(default_factory=set)
    """views of a final cell whose own field is not final yet"""

    def add(self, record: FieldRecord) -> None:
        """The next field."""
        index, slide = record.field_index, record.running.slide
        other = None if record.replaces is None or not record.counted else self._index_of.get(record.replaces)
        if other is not None and other in self._open:
            self._withdraw(other)
        self._index_of[record.trigger_id] = index
        views = [
            View(index, number, Seen(_NOWHERE, _CUT if one.touches_border else WHOLE), one.label, one.presence)
            for number, one in enumerate(record.detections if _counts(record) else ())
        ]
        self._views.update(((index, view.number), view) for view in views)
        for same in slide.same_cells if slide else ():
            if same.run_id is not None:
                self._of_earlier_runs.add((index, same.detection))
                continue
            a, b = self._views.get((index, same.detection)), self._views.get((same.field_index, same.of_detection))
            # A field that was lost with the edge repeats the sums of the one before it, which has these already.
            if a is not None and b is not None:
                a.links[b] = b.links[a] = same.distance_um
        self._open[index] = views
        heapq.heappush(self._not_final, index)
        self._final_until = max(self._final_until, slide.final_until if slide else -1)
        while self._not_final and self._not_final[0] <= self._final_until:
            self._settle(self._open.pop(heapq.heappop(self._not_final)))

    def stands_for(self) -> dict[Place, Place]:
        """For each detection that is in this run's count, directly or as a further view: the one that stands for its cell."""
        found, elsewhere = self._all(), self.of_earlier_runs()
        return {place: best for place, best in found.items() if place not in elsewhere}

    def of_earlier_runs(self) -> set[Place]:
        """Detections of cells that a run before this one, which it continues, has shown and counted."""
        found = self._all()
        cells = {found[place] for place in self._of_earlier_runs if place in found}
        return {place for place, best in found.items() if best in cells}

    def _all(self) -> dict[Place, Place]:
        found = dict(self._stands_for)
        for views in self._open.values():
            for view in views:
                if view not in self._consumed and _place(view) not in found:
                    self._enter(cell_of(view), found)
        return found

    def _withdraw(self, field_index: int) -> None:
        """A field counts no more, but for views of cells that are final already."""
        self.replaced.add(field_index)
        left = [view for view in self._open[field_index] if view not in self._consumed and not view.is_settled]
        self._open[field_index] = [view for view in self._open[field_index] if view not in left]
        for view in left:
            del self._views[_place(view)]
            _cut_off(view)

    def _settle(self, views: Sequence[View]) -> None:
        for view in views:
            if view in self._consumed:
                self._consumed.discard(view)
                continue
            cell = cell_of(view)
            stays = self._enter(cell, self._stands_for)
            for one in cell:
                _cut_off(one)
            stays.is_settled = True
            self._consumed.update(one for one in cell if one is not view and not one.is_settled)

    def _enter(self, cell: Sequence[View], found: dict[Place, Place]) -> View:
        """All views of a cell by the one whose label it has; returns the one that further views are compared with."""
        stays = cell[0] if cell[0].is_settled else min(cell, key=lambda view: view.rank)
        best = found.get(_place(stays), _place(stays))
        found.update((_place(view), best) for view in cell)
        return stays


def _counts(record: FieldRecord) -> bool:
    """Whether its detections are in the count across fields."""
    return record.counted and not (record.quality is not None and record.quality.left_out)


def _place(view: View) -> Place:
    return view.field_index, view.number


def _cut_off(view: View) -> None:
    for other in view.links:
        other.links.pop(view, None)
    view.links.clear()
