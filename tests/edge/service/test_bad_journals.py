"""Journals that cannot be opened, are another's, go away, or have no room: a FAULT each, and nothing recorded is lost."""

import fcntl
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.full_disk import files_limited_to
from support.service_here import WITHIN_S, ServiceHere, refused_with, service, still_read, whole

from edge.contracts.errors import StreamError
from edge.contracts.messages import Accepted, RunStartCommand
from edge.contracts.records import RunOutcome, RunStop
from edge.journal import sqlite_journal
from edge.journal.journal_file import reserve_of
from edge.service import station

pytestmark = pytest.mark.timeout(120)


@dataclass
class JournalCase:
    """`spoil` makes the journal at a path unusable, `mend` usable; `before` the service is there, or between two runs."""

    spoil: Callable[[Path], object]
    mend: Callable[[Path], object]
    words: str
    before: bool = True
    held: list[Any] = field(default_factory=list)


def _other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE patients (name)")
    connection.close()


def _taken_away(path: Path) -> None:
    shutil.move(path.parent, path.parent.with_name("away"))


def _held_by_another(path: Path) -> None:
    stream = path.with_name(f"{path.name}.lock").open("wb")
    fcntl.flock(stream, fcntl.LOCK_EX)
    _HELD.append(stream)


_HELD: list[Any] = []

JOURNALS = [
    pytest.param(
        JournalCase(lambda path: path.parent.write_text("a file"), lambda path: path.parent.unlink(), "cannot be opened"),
        id="its folder cannot be made",
    ),
    pytest.param(
        JournalCase(lambda path: path.mkdir(parents=True), Path.rmdir, "cannot be opened"), id="a folder has its name"
    ),
    pytest.param(
        JournalCase(lambda path: (path.parent.mkdir(), path.write_text("no database" * 99)), Path.unlink, "not a database"),
        id="another kind of file",
    ),
    pytest.param(
        JournalCase(lambda path: (path.parent.mkdir(), _other_database(path)), Path.unlink, "the database of another program"),
        id="another program's database",
    ),
    pytest.param(
        JournalCase(
            lambda path: (path.parent.mkdir(), _held_by_another(path)), lambda _: _HELD.pop().close(), "in use by another edge"
        ),
        id="another edge's",
    ),
    pytest.param(
        JournalCase(_taken_away, lambda _: None, "removed", before=False),
        id="taken away between runs",
    ),
]


@pytest.mark.parametrize("case", JOURNALS)
def test_a_journal_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: JournalCase) -> None:
    path = tmp_path / "state" / "j.sqlite"
    if case.before:
        case.spoil(path)
    with service(monkeypatch, journal=path) as here:
        if not case.before:
            whole(here)
            case.spoil(path)
            until_s = time.monotonic() + WITHIN_S
            while not path.exists() and time.monotonic() < until_s:
                time.sleep(0.02)
            whole(here)  # a new one was begun at once, and that is in the log
            return
        refused_with(here, case.words)
        case.mend(path)
        whole(here)


def test_who_has_records_is_not_told_that_they_are_unknown_while_there_is_no_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "state" / "j.sqlite"
    with service(monkeypatch, journal=path) as here:
        before = whole(here)
    _held_by_another(path)
    with service(monkeypatch, journal=path) as here:
        here.until("FAULT", "in use by another edge")
        with pytest.raises(StreamError, match="in use by another edge"):
            here.controller.query(before, timeout_s=WITHIN_S)
        with pytest.raises(StreamError, match="in use by another edge"):
            here.controller.stop_run(before, timeout_s=WITHIN_S)
        _HELD.pop().close()
        here.until("READY")
        still_read(here, before)


def _filled(here: ServiceHere) -> str:
    """A run that goes on until the disk is full; its name."""
    run_id = here.controller.start_run(timeout_s=WITHIN_S)
    with pytest.raises(StreamError, match="refused"):
        for index in range(2000):
            here.controller.trigger(run_id, f"t{index}", index, timeout_s=WITHIN_S)
            here.controller.poll(0.0)
    return run_id


def test_a_disk_that_is_full_ends_the_run_on_record_and_the_next_one_waits_for_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, really = tmp_path / "j.sqlite", sqlite_journal.write

    def write(*what: Any) -> None:  # noqa: ANN401 as it has them
        if full and reserve_of(path).exists():
            raise sqlite3.OperationalError("database or disk is full")
        really(*what)

    def room(_: Path) -> bool:
        return not full

    full: list[bool] = []
    monkeypatch.setattr(sqlite_journal, "write", write)
    monkeypatch.setattr(station, "has_room_again", room)
    with service(monkeypatch, journal=path) as here:
        before = whole(here)
        full.append(True)
        run_id = _filled(here)
        here.controller.connect(WITHIN_S)
        last = list(here.controller.records(run_id, from_seq=0))[-1]
        assert isinstance(last, RunStop) and last.outcome is RunOutcome.FAILED and "no room for more records" in last.detail
        refused_with(here, "no room for more records")
        still_read(here, before)
        full.clear()
        whole(here)
        still_read(here, before)


def test_a_disk_that_has_no_room_even_for_the_end_of_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    with service(monkeypatch, journal=path) as here:
        before = whole(here)
        with files_limited_to(path.with_name("j.sqlite-wal").stat().st_size + 100_000):
            run_id = _filled(here)
        here.until("READY")
        here.controller.connect(WITHIN_S)
        records = list(here.controller.records(run_id, from_seq=0))
        assert [record.seq for record in records] == list(range(len(records))), "what was sent is there, and has its end"
        assert isinstance(records[-1], RunStop) and records[-1].outcome is RunOutcome.INTERRUPTED
        still_read(here, before)
        whole(here)


def test_a_run_of_which_nothing_came_onto_record_is_unknown_and_may_be_ordered_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with service(monkeypatch, journal=tmp_path / "j.sqlite") as here:
        before = whole(here)
        order = RunStartCommand(cmd_id="c", run_id="r")
        with files_limited_to(1000):
            assert isinstance(here.controller.command(order, WITHIN_S), Accepted)
            refused_with(here, "can no longer be written")
            still_read(here, before)
        here.until("READY")
        with pytest.raises(StreamError, match="unknown_run"):
            here.controller.query("r", timeout_s=WITHIN_S)
        assert isinstance(here.controller.command(order, WITHIN_S), Accepted)
        here.controller.stop_run("r", timeout_s=WITHIN_S)
        assert isinstance(list(here.controller.records("r", from_seq=0))[-1], RunStop)
