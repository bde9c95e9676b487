"""Runs in a journal on disk, without an edge."""

import time
from collections.abc import Callable

from support.scripted_run import field_record, run_start, run_stop

from edge.journal.sqlite_journal import SqliteJournal


def fill(journal: SqliteJournal, n_fields: int, run_id: str = "r", *, stop: bool = True) -> None:
    """Append a run."""
    journal.append(run_start(run_id))
    for seq in range(1, n_fields + 1):
        journal.append(field_record(run_id, seq))
    if stop:
        journal.append(run_stop(run_id, n_fields + 1))


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def seqs(journal: SqliteJournal, run_id: str = "r", from_seq: int = 0) -> list[int]:
    """What of a run can be read."""
    return [seq for seq, _ in journal.read(run_id, from_seq, 10_000)]
