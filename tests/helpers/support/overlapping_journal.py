"""A journal file that holds runs of `overlapping_run`, and what somebody might do to it."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from support.overlapping_run import Layout, overlapping_run

from edge.contracts.records import Record
from edge.journal.sqlite_journal import SqliteJournal

LAYOUT = Layout(seed=5, columns=3, rows=2, overlap=0.3, cells=25)


def journal_of(path: Path, *runs: Sequence[Record]) -> Path:
    """Written by the edge's own journal, which is closed again."""
    journal = SqliteJournal(path)
    for records in runs:
        for record in records:
            journal.append(record)
    journal.settle()
    journal.close()
    return path


def example_journal(path: Path, run_id: str = "run-a", *, stop: bool = True) -> Path:
    return journal_of(path, overlapping_run(LAYOUT, run_id, stop=stop))


def tamper(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement, values)
        connection.commit()
