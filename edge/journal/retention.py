"""What may be forgotten when a journal is opened: acknowledged runs, by their size and by their age.

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

_ALL = (
    "SELECT number, name, (SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
    "(SELECT sum(length(content) + length(link)) FROM records WHERE run = number), "
    "acknowledged = (SELECT max(seq) FROM records WHERE run = number) FROM runs ORDER BY number"
)
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


def forget(connection: sqlite3.Connection, retention: Retention, now: datetime) -> Forgotten:
    """Delete what may be forgotten, oldest first. What is open or not acknowledged stays, however old.

    Raises `sqlite3.Error`.
    """
    rows = connection.execute(_ALL).fetchall()
    stored = sum(size or 0 for *_, size, _ in rows)
    ends = [_end(last) for _, _, last, _, _ in rows]
    ages = _ages([end for _, end in ends], now, min(_LONGEST_PAUSE, timedelta(days=retention.keep_days)))
    since_newest = now - max((end for _, end in ends[-1:] if end), default=now)
    # Of who keeps nothing, the clock is not asked.
    by_age = retention.keep_days == 0 or -_STEP_BACK <= since_newest <= timedelta(days=retention.keep_days)
    forgotten = []
    with connection:
        for (number, name, _, size, acknowledged), (finished, _), age in zip(rows, ends, ages, strict=True):
            old = by_age and age >= timedelta(days=retention.keep_days)
            if not (acknowledged and finished and (old or stored > retention.keep_mb * 1e6)):
                continue
            connection.execute("DELETE FROM records WHERE run = ?", (number,))
            connection.execute("DELETE FROM triggers WHERE run = ?", (number,))
            connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            stored -= size
            forgotten.append(name)
    odd = not by_age and not -_STEP_BACK <= since_newest <= _UNREMARKABLE
    doubt = (
        f"the clock says {now:%Y-%m-%d %H:%M} and the newest record is of {now - since_newest:%Y-%m-%d %H:%M}" if odd else ""
    )
    return Forgotten(tuple(forgotten), doubt)


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


def _end(last: bytes | None) -> tuple[bool, datetime | None]:
    """Whether a run's last record ends it, and its time; none of a record that somebody has changed."""
    try:
        record = json.loads(last or b"")
        return record["type"] == "run_stop", datetime.fromisoformat(record["wall_time"])
    except (ValueError, LookupError, TypeError):
        return False, None
