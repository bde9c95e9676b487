"""What may be forgotten when a journal is opened: acknowledged runs, by their size and by their age.

A run of which a person has judged a cell stays, and so does one that was to stay until a report was made of it. Of what is gone
its name, when it went and the last link of its chain stay.

An age is only as good as the clock, and one start with a wrong one must not cost what was measured. So a run goes by age only
when the clock agrees with the newest record, and when the time that has passed since adds up from run to run as well: a step
back, or one of more than a week, is no time that has passed. After such a pause runs stay longer; their size is held all the
same.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge.journal.tables import BESIDE

_ALL = (
    "SELECT number, name, (SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
    "(SELECT sum(length(content) + length(link)) FROM records WHERE run = number), "
    "acknowledged = (SELECT max(seq) FROM records WHERE run = number), "
    "EXISTS (SELECT * FROM reviews WHERE run = runs.number), NOT EXISTS (SELECT * FROM reports WHERE run = runs.number), "
    "(SELECT content FROM records WHERE run = number ORDER BY seq LIMIT 1) FROM runs ORDER BY number"
)
_FORGET = (
    "INSERT INTO forgotten (name, wall_time, records, link) SELECT name, ?, count(*), (SELECT link FROM records WHERE run = "
    "number ORDER BY seq DESC LIMIT 1) FROM runs JOIN records ON run = number WHERE number = ?"
)
_ONLY_NEWEST = "DELETE FROM forgotten WHERE rowid <= (SELECT max(rowid) FROM forgotten) - ?"
_NAMES_KEPT = 10_000
"""Of forgotten runs."""
_LONGEST_PAUSE = timedelta(days=7)
"""Between two runs; more may be a clock that was set."""
_UNREMARKABLE = timedelta(days=30)
_STEP_BACK = timedelta(hours=1)
"""A clock that was only adjusted."""
_NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Retention:
    """Acknowledged runs are kept for `keep_days`, and the newest of them while all records together are within `keep_mb`."""

    keep_days: float
    keep_mb: float


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Ids of the runs that were deleted, and why the clock was not believed; empty when it was."""

    run_ids: tuple[str, ...] = ()
    doubt: str = ""
    kept: tuple[str, ...] = ()
    """runs that would have gone, and stay for a review, or for want of a report"""


def forget(connection: sqlite3.Connection, retention: Retention, now: datetime) -> Forgotten:
    """Delete what may be forgotten, oldest first. What is open or not acknowledged stays, however old.

    Raises `sqlite3.Error`.
    """
    connection.executescript(BESIDE)
    rows = connection.execute(_ALL).fetchall()
    stored = sum(row[3] or 0 for row in rows)
    ends = [_end(row[2]) for row in rows]
    ages = _ages([end for _, end in ends], now, min(_LONGEST_PAUSE, timedelta(days=retention.keep_days)))
    since_newest = now - max((end for _, end in ends[-1:] if end), default=now)
    # Of who keeps nothing, the clock is not asked.
    by_age = retention.keep_days == 0 or -_STEP_BACK <= since_newest <= timedelta(days=retention.keep_days)
    forgotten, kept = [], []
    with connection:
        for row, (finished, _), age in zip(rows, ends, ages, strict=True):
            number, name, _, size, acknowledged, is_reviewed, is_unreported, first = row
            old = by_age and age >= timedelta(days=retention.keep_days)
            if not (acknowledged and finished and (old or stored > retention.keep_mb * 1e6)):
                continue
            if is_reviewed or (is_unreported and _waits_for_a_report(first)):
                kept.append(name)
                continue
            connection.execute(_FORGET, (now.isoformat(timespec="seconds"), number))
            for table in ("records", "triggers", "reports"):
                connection.execute(f"DELETE FROM {table} WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            stored -= size
            forgotten.append(name)
        connection.execute(_ONLY_NEWEST, (_NAMES_KEPT,))
    odd = not by_age and not -_STEP_BACK <= since_newest <= _UNREMARKABLE
    doubt = (
        f"the clock says {now:%Y-%m-%d %H:%M} and the newest record is of {now - since_newest:%Y-%m-%d %H:%M}" if odd else ""
    )
    return Forgotten(tuple(forgotten), doubt, tuple(kept))


def _ages(ends: Sequence[datetime | None], now: datetime, longest: timedelta) -> list[timedelta]:
    """How old each run is at least: by what its last record says, and by the pauses between the runs from it on."""
    ages, later, passed = [], now, _NONE
    for end in reversed(ends):
        if end is not None:
            pause = later - end
            passed += pause if _NONE <= pause <= longest else _NONE
            later = end
        ages.append(max(_NONE, min(passed, now - end)) if end is not None else _NONE)
    return ages[::-1]


def _waits_for_a_report(first: bytes | None) -> bool:
    """Whether the settings of a run, in its first record, say so."""
    try:
        return json.loads(first or b"")["settings"].get("journal_keep_unreported") is True
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _end(last: bytes | None) -> tuple[bool, datetime | None]:
    """Whether a run's last record ends it, and its time; none of a record that somebody has changed."""
    try:
        record = json.loads(last or b"")
        return record["type"] == "run_stop", datetime.fromisoformat(record["wall_time"])
    except (ValueError, LookupError, TypeError):
        return False, None
