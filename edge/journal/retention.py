"""Which runs a journal may forget: those that a controller holds whole, once they are old or the file is large."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

_CANDIDATES = (
    "SELECT number, name, (SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
    "(SELECT sum(length(content) + length(link)) FROM records WHERE run = number) FROM runs "
    "WHERE acknowledged = (SELECT max(seq) FROM records WHERE run = number) ORDER BY number"
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Acknowledged runs are kept for `keep_days`, and the newest of them while all records together are within `keep_mb`."""

    keep_days: float
    keep_mb: float


def forget(connection: sqlite3.Connection, retention: Retention, now: datetime) -> list[str]:
    """Delete what may be forgotten, oldest first; returns the ids. What is open or not acknowledged stays, however old."""
    (stored,) = connection.execute("SELECT coalesce(sum(length(content) + length(link)), 0) FROM records").fetchone()
    forgotten = []
    with connection:
        for number, name, last, size in connection.execute(_CANDIDATES).fetchall():
            end = json.loads(last)
            age_days = (now - datetime.fromisoformat(end["wall_time"])).total_seconds() / 86400
            if end["type"] != "run_stop" or (age_days <= retention.keep_days and stored <= retention.keep_mb * 1e6):
                continue
            connection.execute("DELETE FROM records WHERE run = ?", (number,))
            connection.execute("DELETE FROM triggers WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            stored -= size
            forgotten.append(name)
    return forgotten
