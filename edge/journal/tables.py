"""How the journal lies in its SQLite file: its tables, what is written to them in one transaction, and the hash chain.

The chain of a run shows that a record was changed, is missing or was moved: every link after it is broken then. The link of a
record is SHA-256 over the link before it and the record's JSON bytes as they are journalled; the first one starts from SHA-256
of the run's id. Who rewrites the whole chain is not found out, unless somebody has kept its last link.
"""

import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.contracts.messages import TriggerCommand
from edge.journal.base import HeldRun

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  acknowledged INTEGER NOT NULL DEFAULT -1
);
CREATE TABLE IF NOT EXISTS records (
  run INTEGER NOT NULL REFERENCES runs (number),
  seq INTEGER NOT NULL,
  content BLOB NOT NULL,
  link BLOB NOT NULL,
  PRIMARY KEY (run, seq)
);
CREATE TABLE IF NOT EXISTS triggers (
  run INTEGER NOT NULL REFERENCES runs (number),
  name TEXT NOT NULL,
  place INTEGER NOT NULL,
  command BLOB NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS open_triggers ON triggers (run, place) WHERE ended = 0;
"""

BESIDE = """
CREATE TABLE IF NOT EXISTS reviews (
  run INTEGER NOT NULL REFERENCES runs (number),
  number INTEGER NOT NULL,
  content BLOB NOT NULL,
  link BLOB NOT NULL,
  PRIMARY KEY (run, number)
);
CREATE TABLE IF NOT EXISTS reports (
  run INTEGER NOT NULL REFERENCES runs (number),
  wall_time TEXT NOT NULL,
  what TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS forgotten (
  name TEXT NOT NULL,
  wall_time TEXT NOT NULL,
  records INTEGER NOT NULL,
  link BLOB NOT NULL
);
"""
"""What is said of runs beside their records: `reviews.py`, `retention.py`. A journal of an older version lacks these tables."""

_OPENING_S = 10.0
_NEWEST = 256
"""Records of a run that are also kept in memory."""


@dataclass(slots=True, kw_only=True)
class RunOnDisk(HeldRun):
    """A run as the file has it, or will have once what waits is written."""

    number: int
    name: str
    link: bytes
    """the chain's over the records appended so far, committed or not"""
    committed: int = 0
    """records that are on disk: those with a seq below this"""
    newest: deque[bytes] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    """the last records that are on disk: whoever follows the run needs no look into the file"""


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A record to be written; `ends` is the announced trigger that ends with it."""

    run: RunOnDisk
    seq: int
    content: bytes
    link: bytes
    ends: str | None


@dataclass(frozen=True, slots=True)
class WaitingTrigger:
    """An announced trigger to be written; `done` is called once it is on disk."""

    run: RunOnDisk
    place: int
    command: TriggerCommand
    done: Callable[[], None]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use, and that waits so long for a program that holds the file."""
    return sqlite3.connect(path, check_same_thread=False, timeout=_OPENING_S)


def is_foreign(connection: sqlite3.Connection) -> bool:
    """Whether the file is another program's database: it has tables and not those of a journal. Raises `sqlite3.Error`.

    A journal whose edge was killed while it made the first of them, as an older version could be, is none.
    """
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if names == {"runs"}:
        return [name for _, name, *_ in connection.execute("PRAGMA table_info(runs)")] != ["number", "name", "acknowledged"]
    return bool(names) and not names >= {"runs", "records"}


def make_tables(connection: sqlite3.Connection) -> None:
    """Those that are missing, all at once: who is killed meanwhile leaves a file with all of them or none.

    Raises `sqlite3.Error`.
    """
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} {BESIDE} COMMIT;")


def load(connection: sqlite3.Connection) -> dict[str, RunOnDisk]:
    """Every run in the file by its name, oldest first. Raises `sqlite3.Error`."""
    rows = connection.execute(
        "SELECT number, name, acknowledged, (SELECT count(*) FROM records WHERE run = number), "
        "(SELECT count(*) FROM triggers WHERE run = number), "
        "(SELECT link FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
        "(SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1) FROM runs ORDER BY number"
    ).fetchall()
    runs = {}
    for number, name, acknowledged, n_records, n_announced, link, last in rows:
        runs[name] = RunOnDisk(
            number=number,
            name=name,
            link=link or first_link(name),
            next_seq=n_records,
            committed=n_records,
            acknowledged=acknowledged,
            finished=bool(last) and last.startswith(b'{"type":"run_stop"'),
            n_announced=n_announced,
        )
    names = {run.number: run for run in runs.values()}
    for number, command in connection.execute("SELECT run, command FROM triggers WHERE ended = 0 ORDER BY run, place"):
        trigger = TriggerCommand.model_validate_json(command)
        names[number].open[trigger.trigger_id] = trigger
    return runs


def write(
    connection: sqlite3.Connection, batch: Iterable[WaitingRecord | WaitingTrigger], acknowledged: Mapping[int, int]
) -> None:
    """Write records, triggers and the seq up to which each run number was acknowledged. Raises `sqlite3.Error`."""
    records = [each for each in batch if isinstance(each, WaitingRecord)]
    triggers = [each for each in batch if isinstance(each, WaitingTrigger)]
    work: tuple[tuple[str, list[tuple[object, ...]]], ...] = (
        (
            "INSERT OR IGNORE INTO runs (number, name) VALUES (?, ?)",
            [(each.run.number, each.run.name) for each in records if each.seq == 0],
        ),
        (
            "INSERT INTO records (run, seq, content, link) VALUES (?, ?, ?, ?)",
            [(each.run.number, each.seq, each.content, each.link) for each in records],
        ),
        (
            "INSERT INTO triggers (run, name, place, command) VALUES (?, ?, ?, ?)",
            [
                (each.run.number, each.command.trigger_id, each.place, each.command.model_dump_json().encode())
                for each in triggers
            ],
        ),
        (
            "UPDATE triggers SET ended = 1 WHERE run = ? AND name = ?",
            [(each.run.number, each.ends) for each in records if each.ends is not None],
        ),
        (
            "UPDATE runs SET acknowledged = max(acknowledged, ?) WHERE number = ?",
            [(upto_seq, number) for number, upto_seq in acknowledged.items()],
        ),
    )
    with connection:
        for statement, rows in work:
            if rows:
                connection.executemany(statement, rows)


def first_link(run_id: str) -> bytes:
    """Where the chain of a run begins, 32 bytes."""
    return hashlib.sha256(run_id.encode()).digest()


def next_link(link: bytes, content: bytes) -> bytes:
    """The link of a record after `link`, 32 bytes."""
    return hashlib.sha256(link + content).digest()
