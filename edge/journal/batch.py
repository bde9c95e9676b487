"""What waits for the disk, and how it is written: one transaction, all of it or nothing."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from edge.contracts.messages import TriggerCommand

_NEWEST = 256
"""Records of a run that are also kept in memory."""


@dataclass(slots=True)
class HeldRun:
    """A run as the journal knows it; `link` is the chain's over the records appended so far, committed or not."""

    number: int
    name: str
    link: bytes
    next_seq: int = 0
    committed: int = 0
    """records that are on disk: those with a seq below this"""
    acknowledged: int = -1
    finished: bool = False
    n_announced: int = 0
    open: dict[str, TriggerCommand] = field(default_factory=dict)
    """announced triggers whose field was not appended yet, in the order of their announcement"""
    newest: deque[bytes] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    """the last records that are on disk: whoever follows the run needs no look into the file"""


@dataclass(frozen=True, slots=True)
class WaitingRecord:
    """A record to be written; `ends` is the announced trigger that ends with it."""

    run: HeldRun
    seq: int
    content: bytes
    link: bytes
    ends: str | None


@dataclass(frozen=True, slots=True)
class WaitingTrigger:
    """An announced trigger to be written; `done` is called once it is on disk."""

    run: HeldRun
    place: int
    command: TriggerCommand
    done: Callable[[], None]


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


def load(connection: sqlite3.Connection, first_link: Callable[[str], bytes]) -> dict[str, HeldRun]:
    """Every run in the file by its name, oldest first. Raises `sqlite3.Error`."""
    rows = connection.execute(
        "SELECT number, name, acknowledged, (SELECT count(*) FROM records WHERE run = number), "
        "(SELECT count(*) FROM triggers WHERE run = number), "
        "(SELECT link FROM records WHERE run = number ORDER BY seq DESC LIMIT 1), "
        "(SELECT content FROM records WHERE run = number ORDER BY seq DESC LIMIT 1) FROM runs ORDER BY number"
    ).fetchall()
    runs = {}
    for number, name, acknowledged, n_records, n_announced, link, last in rows:
        finished = bool(last) and last.startswith(b'{"type":"run_stop"')
        runs[name] = HeldRun(number, name, link or first_link(name), n_records, n_records, acknowledged, finished, n_announced)
    names = {run.number: run for run in runs.values()}
    for number, command in connection.execute("SELECT run, command FROM triggers WHERE ended = 0 ORDER BY run, place"):
        trigger = TriggerCommand.model_validate_json(command)
        names[number].open[trigger.trigger_id] = trigger
    return runs
