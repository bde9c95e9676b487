"""The file of a journal as a file: who holds it, whether it was closed, what its disk refuses.

SQLite keeps the newest records in a second file, FILE-wal, until they are moved into the first. A copy of the first file alone
looks whole and is not. So an edge marks the first one as open before it writes records, and as closed once all are in it: open,
and without the second, it lacks records.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import IO, Literal

from edge.contracts.errors import JournalError

_OPEN, _CLOSED = 1, 2
"""SQLite's user_version of the file; 0 in one that was written before there was a mark."""
_VERSION_AT = 60
"""Where in the file user_version lies, 4 bytes, big-endian."""
RESERVE_BYTES = 4 * 2**20
"""Given up when the disk is full, so that the run can still be ended and say why."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PROBE_BYTES = 64 * 1024

Trouble = Literal["held", "full", "other"]


def trouble_of(problem: sqlite3.Error, path: Path | None = None) -> Trouble:
    """Whether another program holds the file, its disk is full (or a quota is), or something else is wrong.

    SQLite calls a quota that is used up, and a disk that fails, by one name; which it is shows beside the journal `path`.
    """
    text = str(problem).lower()  # Python 3.10 has no error code yet
    if "is locked" in text or "locking protocol" in text:
        return "held"
    if "disk is full" in text:
        return "full"
    return "full" if "disk i/o error" in text and path is not None and not _has_room(path) else "other"


def _has_room(path: Path) -> bool:
    probe = path.with_name(f"{path.name}.probe")
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as problem:
        return problem.errno not in _NO_ROOM
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


Identity = tuple[int, int]
"""Device and inode: which file lies at a path."""


def identity_of(path: Path) -> Identity | None:
    """Of the file that is there now; None when there is none, or it cannot be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def hold(path: Path) -> IO[bytes]:
    """Keep other edges out for as long as the returned file is open, however this process ends. Raises `JournalError`."""
    held = lock_of(path).open("wb")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        held.close()
        raise JournalError(
            f"journal {path} is in use by another edge process; stop that one, or give this one a journal of its own."
        ) from problem
    return held


def lock_of(path: Path) -> Path:
    """The file that says, as long as somebody holds it, that the journal is in use."""
    return path.with_name(f"{path.name}.lock")


def reserve_of(path: Path) -> Path:
    """The file that is given up when the disk is full."""
    return path.with_name(f"{path.name}.reserve")


def make_reserve(path: Path) -> None:
    """Have a reserve beside the journal `path`. Raises OSError when there is no room for it."""
    reserve = reserve_of(path)
    if not reserve.exists():
        with reserve.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, RESERVE_BYTES)


def has_room_again(path: Path) -> bool:
    """Whether there can be a reserve beside the journal `path`, as far as room is what that needs."""
    try:
        make_reserve(path)
    except OSError as problem:
        return problem.errno not in _NO_ROOM
    return True


def log_of(path: Path) -> Path:
    """The file in which SQLite has the newest records."""
    return path.with_name(f"{path.name}-wal")


def has_log(path: Path) -> bool:
    """Whether that file is there and has anything in it. Raises OSError."""
    log = log_of(path)
    return log.exists() and log.stat().st_size > 0


def lacks_log(path: Path) -> bool:
    """Whether the newest records of journal `path` may be in a file that is not beside it. Raises OSError."""
    if not path.is_file() or has_log(path):
        return False
    with path.open("rb") as stream:
        head = stream.read(_VERSION_AT + 4)
    return head[_VERSION_AT:] == _OPEN.to_bytes(4, "big")


def lacking(path: Path) -> str:
    """What a journal lacks of which `lacks_log` is true, and why, as a sentence part."""
    return (
        f"journal {path} may lack its newest records: it was copied while an edge wrote it, or after one was killed, and "
        f"{log_of(path).name} is not beside it"
    )


def mark_open(connection: sqlite3.Connection) -> None:
    """Before the first record is written. Raises `sqlite3.Error`."""
    (mark,) = connection.execute("PRAGMA user_version").fetchone()
    if mark != _OPEN:
        connection.execute(f"PRAGMA user_version={_OPEN}")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()  # into the first file; the second is not emptied


def close_marked(connection: sqlite3.Connection, path: Path) -> None:
    """Mark the file as closed and close the last connection to it, which moves all records into it and removes the log."""
    marked = _marked_closed(connection)
    if not marked:
        with contextlib.suppress(OSError):
            reserve_of(path).unlink(missing_ok=True)
        marked = _marked_closed(connection)
    connection.close()
    if not marked:
        lacks_nothing(path)


def lacks_nothing(path: Path) -> None:
    """Say so of a journal that nobody has open and that could not be marked as closed."""
    with contextlib.suppress(OSError):
        if lacks_log(path):
            log_of(path).write_bytes(b"\0")  # SQLite takes it for an empty log


def _marked_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute(f"PRAGMA user_version={_CLOSED}")
        connection.commit()
    except sqlite3.Error:
        return False
    return True
