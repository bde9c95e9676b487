"""A run that goes on where another one was killed counts each cell of both once, as if nothing had happened."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.overlapping_run import SIZE, Layout, geometry_of, overlapping_run

from edge.contracts.messages import TriggerCommand
from edge.contracts.records import FieldRecord, Record, RunStart, RunStop, SlideResult
from edge.contracts.run_order import RunOrder
from edge.counting.slide_account import SlideAccount
from edge.journal.base import Journal
from edge.journal.carried import carried_into
from edge.journal.earlier_runs import end_of, feed_runs, held_by, slide_result
from edge.journal.interrupted import end_interrupted
from edge.journal.memory_journal import MemoryJournal

pytestmark = pytest.mark.timeout(120)
WALL = "2030-01-02T03:04:05Z"


def recorded(layout: Layout, order: RunOrder | None = None) -> tuple[RunStart, list[FieldRecord], SlideResult]:
    """A whole run: its first record, its fields, and each cell of it once."""
    start, *rest = overlapping_run(layout, "whole")
    assert isinstance(start, RunStart)
    start = start.model_copy(update={"stage": geometry_of(layout), "order": order})
    fields = [record for record in rest if isinstance(record, FieldRecord)]
    account = SlideAccount(geometry_of(layout), *SIZE, order)
    announced = 0
    for index, field in enumerate(fields):
        ahead = fields[announced : index + layout.ahead]
        account.announce((each.field_index, _place(each)) for each in ahead)
        announced += len(ahead)
        account.ended(end_of(field, None))
    result = account.result()
    assert result is not None
    return start, fields, result


def _place(field: FieldRecord) -> tuple[int, int] | None:
    return (field.stage.x_nm, field.stage.y_nm) if field.stage else None


def killed(start: RunStart, fields: list[FieldRecord], after: int, ahead: int, journal: Journal | None = None) -> Journal:
    """The journal of an edge that was killed after so many fields, with `ahead` triggers open, once its successor looked in."""
    journal = journal or MemoryJournal()
    records: list[Record] = [start, *fields[:after]]
    for seq, record in enumerate(records):
        for each in fields[max(0, seq - 1) : seq - 1 + ahead] if seq else []:
            if journal.announced(start.run_id, each.trigger_id) is None:
                journal.announce(_command(each), lambda: None)
        journal.settle()  # as an edge does: no field of a trigger that is not on disk
        journal.append(record.model_copy(update={"seq": seq, "run_id": start.run_id}))
    for each in fields[: after + ahead]:
        if journal.announced(start.run_id, each.trigger_id) is None:
            journal.announce(_command(each), lambda: None)
    journal.settle()
    assert end_interrupted(journal, WALL) == [start.run_id]
    return journal


def _command(field: FieldRecord) -> TriggerCommand:
    return TriggerCommand(
        cmd_id=f"c-{field.trigger_id}",
        run_id="whole",
        trigger_id=field.trigger_id,
        field_index=field.field_index,
        stage=field.stage,
    )


def continued(journal: Journal, layout: Layout, left: list[FieldRecord], order: RunOrder | None = None) -> SlideResult:
    """The run that goes on, its fields numbered anew."""
    account = SlideAccount(geometry_of(layout), *SIZE, order)
    carried = carried_into(journal, "next", "whole")
    assert carried is not None
    carried.feed(account)
    assert carried.doubts() == ()
    left = [field.model_copy(update={"field_index": index}) for index, field in enumerate(left)]
    announced = 0
    for index, field in enumerate(left):
        ahead = left[announced : index + layout.ahead]
        account.announce((each.field_index, _place(each)) for each in ahead)
        announced += len(ahead)
        account.ended(end_of(field, None))
    result = account.result()
    assert result is not None
    return result


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 8), st.sampled_from([0.0, 0.15, 0.3]))
def test_killed_anywhere_the_count_is_that_of_the_unbroken_run(seed: int, after: int, ahead: int, overlap: float) -> None:
    layout = Layout(seed=seed, overlap=overlap, ahead=ahead, turned_deg=3.0)
    start, fields, whole = recorded(layout)
    journal = killed(start, fields, after, ahead)
    result = continued(journal, layout, fields[after:])
    assert (result.cells, result.same_cells) == (whole.cells, whole.same_cells)
    assert result.run_ids == ("whole",)


def test_the_stop_decision_is_that_of_the_unbroken_run() -> None:
    layout, order = Layout(seed=11, cells=80), RunOrder(target_leukocytes=30)
    start, fields, whole = recorded(layout, order)
    assert whole.stop is not None and whole.stop.final is not None
    for after in (2, 5, 9):
        result = continued(killed(start, fields, after, layout.ahead), layout, fields[after:], order)
        assert result.stop is not None and result.stop.final is not None
        assert (result.stop.final.wbc, result.stop.wbc) == (whole.stop.final.wbc, whole.stop.wbc)
        here = result.stop.final.field_index + (0 if result.stop.final.run_id else after)
        assert here == whole.stop.final.field_index
        assert (result.stop.final.run_id == "whole") == (here < after)


def test_an_interrupted_run_has_its_count_at_its_end() -> None:
    layout = Layout(seed=4)
    start, fields, _ = recorded(layout)
    journal = killed(start, fields, 7, layout.ahead)
    stop = RunStop.model_validate_json(journal.read("whole", journal.next_seq("whole") - 1, 1)[0][1])
    assert stop.slide is not None and sum(stop.slide.cells.values()) > 0
    assert stop.slide == slide_result(held_by(journal), start)
    lost = FieldRecord.model_validate_json(journal.read("whole", journal.next_seq("whole") - 2, 1)[0][1])
    assert lost.running.slide is not None and lost.running.slide.same_cells == ()


class LateJournal(MemoryJournal):
    """As one on a slow disk: what was appended can be read once it is settled, or after some `reads` of it."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self._reads, self._shown = reads, Counter[str]()

    def read(self, run_id: str, from_seq: int, limit: int) -> list[tuple[int, bytes]]:
        self._shown[run_id] += 1
        return [each for each in super().read(run_id, from_seq, limit) if each[0] < self._shown[run_id] // self._reads]

    def settle(self) -> None:
        self._shown.update({run_id: self._reads * self.next_seq(run_id) - self._shown[run_id] for run_id in self.runs()})


@pytest.mark.parametrize("reads", [1, 2, 3, 100])
@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_a_disk_that_is_slow_changes_no_count(reads: int, ahead: int) -> None:
    """The end of an interrupted run is made of records of which the last may not be on disk yet, or come between two looks."""
    layout, order = Layout(seed=4), RunOrder(target_leukocytes=30)
    start, fields, _ = recorded(layout, order)
    left = fields[7:]
    at_once, late = (killed(start, fields, 7, ahead, each) for each in (MemoryJournal(), LateJournal(reads)))
    assert _end_of(late) == _end_of(at_once)
    assert continued(late, layout, left, order) == continued(at_once, layout, left, order)


def _end_of(journal: Journal) -> RunStop:
    journal.settle()
    return RunStop.model_validate_json(journal.read("whole", journal.next_seq("whole") - 1, 1)[0][1])


@pytest.mark.parametrize("why", ["forgotten", "other pixels", "unknown"])
def test_what_cannot_be_gone_on_with_is_said(why: str) -> None:
    layout = Layout(seed=4)
    start, fields, _ = recorded(layout)
    journal = MemoryJournal() if why == "unknown" else killed(start, fields, 7, layout.ahead)
    geometry = geometry_of(layout)
    if why == "other pixels":
        (a, b), (c, d) = geometry.um_per_px
        geometry = geometry.model_copy(update={"um_per_px": ((1.1 * a, 1.1 * b), (1.1 * c, 1.1 * d))})
    account = SlideAccount(geometry, *SIZE)
    if why == "forgotten":
        assert feed_runs(held_by(MemoryJournal()), ["whole"], account) == ("whole",)
        return
    carried = carried_into(journal, "next", "whole")
    assert carried is not None
    carried.feed(account)
    assert account.result() is None
    (said,) = carried.doubts()
    assert "'whole'" in said and said.endswith("by hand.")
