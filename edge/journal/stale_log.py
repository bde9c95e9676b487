"""Whether the log beside a journal belongs to it, or was left by an older state of the file.

Who restores a journal from a backup, or copies a newer one over an older, may leave the older one's FILE-wal in its place.
SQLite has no way to notice: it takes the log for the newest records, and writes pages of the old file into the new one.
"""

import sqlite3
from pathlib import Path

from edge.journal.journal_file import has_log, log_of

_ENDS = (
    "SELECT name, seq, link, number FROM runs JOIN records ON run = number "
    "WHERE seq = (SELECT max(seq) FROM records WHERE run = number) ORDER BY number"
)
_SAME = "SELECT count(*) FROM runs JOIN records ON run = number WHERE name = ? AND seq = ? AND link = ?"
_KNOWN = "SELECT count(*) FROM runs WHERE name = ?"


def stale_log(path: Path) -> str:
    """What is wrong with the log beside journal `path`, and what to do, as a sentence part; else empty.

    With its log a journal has all records that it has without, but for old runs that were forgotten. Neither file is changed.
    Raises OSError.
    """
    if not path.is_file() or not has_log(path) or not (alone := _looked_at(path)):
        return ""  # without what is in the log it may be half of a whole: it was killed while records were moved to the other
    log = log_of(path)
    return (
        ""
        if _belongs(path, alone)
        else f"{log.name} beside journal {path} is not its own: it was left by an older state of the file, and would destroy "
        f"newer records; move {log.name} away, or put the journal that belongs to it back"
    )


def _belongs(path: Path, alone: list[tuple[str, int, bytes]]) -> bool:
    try:
        together = _connected(path, "mode=ro")
        try:
            for name, seq, link in alone:
                (known,) = together.execute(_KNOWN, (name,)).fetchone()
                (same,) = together.execute(_SAME, (name, seq, link)).fetchone()
                if not same and (known or name == alone[-1][0]):
                    return False
            return bool(together.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        finally:
            together.close()
    except sqlite3.OperationalError:
        return True  # held, or not to be read: whoever opens it says so
    except sqlite3.DatabaseError:
        return False


def _looked_at(path: Path) -> list[tuple[str, int, bytes]]:
    """Name, last seq and its link of each run in the first file; nothing when that cannot be read by itself."""
    try:
        connection = _connected(path, "immutable=1")
        try:
            return [(name, seq, link) for name, seq, link, _ in connection.execute(_ENDS)]
        finally:
            connection.close()
    except sqlite3.Error:
        return []


def _connected(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=0.0)
