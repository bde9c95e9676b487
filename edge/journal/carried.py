"""What a run takes over from those that it continues: their sums, each run without its replaced fields, from the journal."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.contracts.base import parse_json
from edge.contracts.errors import JournalError, StreamError
from edge.contracts.records import CarriedResult, FieldStatus, RunStart, RunStop
from edge.counting import differential
from edge.counting.slide_account import SlideAccount
from edge.journal.base import Journal
from edge.journal.earlier_runs import feed_runs, held_by


@dataclass(slots=True)
class Carried:
    """The sums of the runs before, oldest first; `missing_run_id` is one that is named and whose sums are not to be had."""

    run_ids: tuple[str, ...] = ()
    missing_run_id: str | None = None
    fields: Counter[FieldStatus] = field(default_factory=Counter)
    cells: Counter[str] = field(default_factory=Counter)
    journal: Journal | None = None
    """where their records are"""
    _not_fed: tuple[str, ...] = ()

    def feed(self, account: SlideAccount) -> None:
        """Let the count across fields go on with the fields of these runs."""
        if self.journal is not None:
            self._not_fed = feed_runs(held_by(self.journal), self.run_ids, account)

    def with_run(self, run_id: str, fields: Mapping[FieldStatus, int], cells: Mapping[str, int]) -> CarriedResult:
        """These sums and those of the run that continues them."""
        all_fields, all_cells = self.fields + Counter(fields), self.cells + Counter(cells)
        return CarriedResult(
            run_ids=(*self.run_ids, run_id),
            missing_run_id=self.missing_run_id,
            fields={status: all_fields[status] for status in FieldStatus if all_fields[status]},
            cells=dict(all_cells),
            differential=differential(all_cells),
        )

    def doubts(self) -> tuple[str, ...]:
        """What speaks against the sums carried over, for `run_stop`."""
        found = []
        if self.missing_run_id is not None:
            found.append(
                f"the sums carried over lack run {self.missing_run_id!r}, which is continued and whose end is not held here; "
                "add those of its run_stop by hand."
            )
        if self._not_fed:
            found.append(
                f"the count of each cell once lacks run {', '.join(map(repr, self._not_fed))}, which is continued: its fields "
                "are not held here any more, or their pixels have another size; add its cells by hand."
            )
        return tuple(found)


def carried_into(journal: Journal, run_id: str, continues_run_id: str | None) -> Carried | None:
    """What run `run_id` takes over, None when it continues no run. A chain of runs that leads into itself ends there.

    Raises `JournalError` when the journal can no longer be written.
    """
    if continues_run_id is None:
        return None
    journal.settle()  # the end of a run that was only just ended can be read then
    found, seen = Carried(journal=journal), {run_id}
    before: str | None = continues_run_id
    while before is not None:
        ends = None if before in seen else _ends(journal, before)
        if ends is None:
            found.missing_run_id = before
            return found
        seen.add(before)
        stop, continued = ends
        sums = stop.carried or stop.net or stop
        found.fields.update(sums.fields)
        found.cells.update(sums.cells)
        found.run_ids = (*(stop.carried.run_ids if stop.carried else (before,)), *found.run_ids)
        if stop.carried:  # it holds all before it, also what the journal has forgotten meanwhile
            found.missing_run_id = stop.carried.missing_run_id
            return found
        before = continued
    return found


def _ends(journal: Journal, run_id: str) -> tuple[RunStop, str | None] | None:
    """The last record of a run that has ended, and which run it continued; None when they are not to be had."""
    if not journal.finished(run_id):
        return None
    last_seq = journal.next_seq(run_id) - 1
    try:
        stop = parse_json(RunStop, journal.read(run_id, last_seq, 1)[0][1], f"record {last_seq} of run {run_id}", JournalError)
        if stop.carried is not None:
            return stop, None
        start = parse_json(RunStart, journal.read(run_id, 0, 1)[0][1], f"record 0 of run {run_id}", JournalError)
    except (StreamError, JournalError, LookupError):  # acknowledged and forgotten, or not to be read
        return None
    return stop, start.continues_run_id
