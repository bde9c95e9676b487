"""When a slide has been counted enough: the limits of a run's order, held against cells as they become final.

The final decision is a function of the record of fields alone: fields become final in the order of their index, cells of one
field are taken by y, then x, and time is what the records of fields say. So every replay comes to the same decision, in
whatever order the fields ended, and what comes behind the frontier does not move it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from edge.contracts.run_order import RunOrder
from edge.contracts.stop_state import StopReached, StopReason
from edge.counting.counts import clopper_pearson, wbc_total


class StopRule:
    """The limits of one order. For one thread."""

    def __init__(self, order: RunOrder) -> None:
        self._order = order
        self._cells: Counter[str] = Counter()
        self._wbc = 0
        self._n_fields = 0
        self.final: StopReached | None = None
        self.fields_until_final = 0
        """Fields that were final when the decision was made, its own included."""

    def settled(self, field_index: int, labels: Sequence[str], elapsed_s: float, run_id: str | None = None) -> bool:
        """A field is final, with the cells that became final with it by y, then x, and how long after the first field it
        came. Whether the decision has been made with it."""
        self._n_fields += 1
        if self.final is not None:
            return False
        reason: StopReason | None = None
        for label in labels:
            counted = counted_as(label, self._order)
            self._cells[counted] += 1
            if wbc_total({counted: 1}):
                self._wbc += 1
                if (reason := self._by_cells(self._cells, self._wbc)) is not None:
                    break
        reason = reason or self._by_fields(self._n_fields, elapsed_s)
        if reason is None:
            return False
        self.final = StopReached(reason=reason, field_index=field_index, run_id=run_id, wbc=self._wbc)
        self.fields_until_final = self._n_fields
        return True

    def reached(self, field_index: int, cells: Mapping[str, int], n_fields: int, elapsed_s: float) -> StopReached | None:
        """Whether a limit holds with all cells known so far, `field_index` being the newest field."""
        counted = adjusted(cells, self._order)
        wbc = wbc_total(counted)
        reason = self._by_cells(counted, wbc) or self._by_fields(n_fields, elapsed_s)
        return StopReached(reason=reason, field_index=field_index, wbc=wbc) if reason is not None else None

    def _by_cells(self, cells: Mapping[str, int], wbc: int) -> StopReason | None:
        order = self._order
        if order.target_leukocytes is not None and wbc >= order.target_leukocytes:
            return "leukocytes"
        widths = order.limit_width_percent
        if widths and wbc and all(_width_percent(cells.get(label, 0), wbc) <= most for label, most in widths.items()):
            return "limit_width"
        return None

    def _by_fields(self, n_fields: int, elapsed_s: float) -> StopReason | None:
        if self._order.field_cap is not None and n_fields >= self._order.field_cap:
            return "fields"
        if self._order.time_cap_s is not None and elapsed_s >= self._order.time_cap_s:
            return "time"
        return None


def counted_as(label: str, order: RunOrder | None) -> str:
    """The label under which a cell counts by the order's smudge policy."""
    return "lymphocyte" if label == "smudge" and order is not None and order.smudges == "lymphocytes" else label


def adjusted(cells: Mapping[str, int], order: RunOrder | None) -> dict[str, int]:
    """Counts per label by the order's smudge policy."""
    counted: Counter[str] = Counter()
    for label, n in cells.items():
        counted[counted_as(label, order)] += n
    return dict(counted)


def sentence_of(reached: StopReached, order: RunOrder, *, is_final: bool) -> str:
    """Why `stop` is advised, for a person."""
    widths = ", ".join(f"{label} {width:g}" for label, width in order.limit_width_percent.items())
    what = {
        "leukocytes": f"{order.target_leukocytes} leukocytes were ordered and are counted",
        "limit_width": f"the 95 % limits are as narrow as ordered ({widths} percentage points) with {reached.wbc} leukocytes",
        "fields": f"{order.field_cap} fields were ordered and have ended, with {reached.wbc} leukocytes",
        "time": f"{order.time_cap_s or 0:g} s were ordered and are over, with {reached.wbc} leukocytes",
    }[reached.reason]
    if is_final:
        where = f" of run {reached.run_id}" if reached.run_id is not None else ""
        return f"{what}, with field {reached.field_index}{where}: this is final."
    return f"{what}, some of it in fields that are not final yet: expose no further field, and wait for the open ones."


def _width_percent(count: int, total: int) -> float:
    low, high = clopper_pearson(count, total)
    return 100.0 * (high - low)
