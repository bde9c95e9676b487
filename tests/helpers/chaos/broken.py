"""An edge and a scanner with the very mistakes that a chaos scan looks for, to show that it finds them."""

import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from edge.journal import sqlite_journal as journal
from edge.journal.tables import WaitingRecord, WaitingTrigger, connect, write
from edge.scanner.notebook import Notebook

_COMMIT_EVERY = 20


class _Uncommitted:
    """A connection whose `with` commits nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.executemany = connection.executemany

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def break_journal() -> None:
    """In this process the stream reads records before they are committed, and most batches are not."""
    n_batches = 0

    def write_and_commit_seldom(
        connection: sqlite3.Connection, batch: Iterable[WaitingRecord | WaitingTrigger], acknowledged: Mapping[int, int]
    ) -> None:
        nonlocal n_batches
        n_batches += 1
        write(_Uncommitted(connection), batch, acknowledged)  # type: ignore[arg-type]
        if n_batches % _COMMIT_EVERY == 0:
            connection.commit()

    vars(journal)["connect"] = lru_cache(connect)  # one connection, which sees what it has not committed
    vars(journal)["write"] = write_and_commit_seldom


class DoubleNotebook(Notebook):
    """Notes one record in seven twice."""

    def record(self, record: dict[str, Any]) -> None:
        super().record(record)
        if record["seq"] % 7 == 3:
            super().record(record)
