"""What is forgotten when a journal is opened: never what a controller does not hold, and nothing by a clock that is wrong."""

import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.filled_journal import fill, seqs, until
from support.scripted_run import WALL, run_start

from edge.journal.retention import Retention, forget
from edge.journal.sqlite_journal import SqliteJournal

pytestmark = pytest.mark.timeout(40)
NOW = datetime(2030, 6, 1, tzinfo=timezone.utc)
Y1970, AHEAD = -60 * 365.25, 3650.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def date_runs(path: Path, times: dict[str, datetime]) -> int:
    """Give all records of each run this time; returns how many bytes are stored."""
    with sqlite3.connect(path) as connection:
        names = dict(connection.execute("SELECT number, name FROM runs"))
        for run, seq, content in connection.execute("SELECT run, seq, content FROM records").fetchall():
            changed = content.replace(WALL.encode(), times[names[run]].isoformat().encode())
            connection.execute("UPDATE records SET content = ? WHERE run = ? AND seq = ?", (changed, run, seq))
        (stored,) = connection.execute("SELECT sum(length(content) + length(link)) FROM records").fetchone()
    connection.close()
    return int(stored)


def acknowledged_runs(path: Path, *run_ids: str) -> None:
    journal = SqliteJournal(path)
    for run_id in run_ids:
        fill(journal, 2, run_id)
        journal.settle()
        journal.acknowledge(run_id, 3)
    journal.close()


@pytest.mark.parametrize(
    ("keep_days", "share", "kept"),
    [
        pytest.param(30, 1.0, ["old", "open", "unheard", "new"], id="young and small"),
        pytest.param(0, 1.0, ["open", "unheard"], id="all that is acknowledged is old"),
        pytest.param(30, 0.0, ["open", "unheard"], id="no room at all"),
        pytest.param(30, 0.9, ["open", "unheard", "new"], id="room for all but one"),
    ],
)
def test_only_what_a_controller_holds_is_forgotten(path: Path, keep_days: float, share: float, kept: list[str]) -> None:
    """`share` is what may be kept of the records' size."""
    journal = SqliteJournal(path)
    for run_id in ("old", "open", "unheard", "new"):
        fill(journal, 10, run_id, stop=run_id != "open")
        until(lambda run_id=run_id: len(seqs(journal, run_id)) == journal.next_seq(run_id))  # type: ignore[misc]
        if run_id != "unheard":
            journal.acknowledge(run_id, journal.next_seq(run_id) - 1)
    journal.close()
    stored = date_runs(path, dict.fromkeys(("old", "open", "unheard", "new"), datetime.now(timezone.utc)))
    again = SqliteJournal(path, retention=Retention(keep_days, share * stored / 1e6))
    assert again.runs() == kept
    assert sorted([*again.forgotten.run_ids, *kept]) == sorted(["old", "open", "unheard", "new"])
    again.append(run_start("next"))
    until(lambda: seqs(again, "next") == [0])
    again.close()


@pytest.mark.parametrize(
    ("days", "today", "forgotten", "doubted"),
    [
        pytest.param([-37, *range(-31, 0, 6)], 0, [0, 1], False, id="a clock that is right"),
        pytest.param([-90, -20, -1], 0, [], False, id="long pauses, in which a clock may have been set"),
        pytest.param([-40, -35, -33], 0, [], True, id="a pause longer than anything is kept, or a clock that is ahead"),
        pytest.param([-40, -35, -33, 0], 1, [], False, id="a run after that pause: it may be as wrong as the clock"),
        pytest.param([-2, -1, 200], 200.1, [], False, id="half a year ahead, the second time"),
        pytest.param([-2, -1, 200, 201, 203], 204, [], False, id="half a year ahead, day after day"),
        pytest.param([-2, -1, 29, 29.5], 30, [], False, id="a month ahead, the second time"),
        pytest.param([-2, 5, -1, 4, 0, 5, -1, 4, 0, 5, -1], 4, [], False, id="days ahead and back, again and again"),
        pytest.param([-2, -1], AHEAD, [], True, id="ten years ahead"),
        pytest.param([-2, -1, AHEAD], AHEAD + 1, [], False, id="ten years ahead, the second time"),
        pytest.param([-2, -1], Y1970, [], True, id="1970"),
        pytest.param([-2, -1, Y1970], Y1970 + 0.01, [], False, id="1970, the second time"),
        pytest.param([-2, AHEAD, Y1970], 0, [], True, id="the first right one after two that were wrong"),
        pytest.param([-3, AHEAD, Y1970, -1], 0, [], False, id="the second right one after two that were wrong"),
        pytest.param(
            [-80, AHEAD, Y1970, *range(-36, 0, 5)], 0, [0, 2, 3, 4], False, id="what was wrong once ages all the same"
        ),
        pytest.param([-2, 0.01], 0, [], False, id="a clock that was only adjusted"),
        pytest.param([-2, 3], 0, [], True, id="a clock that is behind by days"),
    ],
)
def test_nothing_goes_by_a_clock_that_disagrees_with_the_records(
    path: Path, days: list[float], today: float, forgotten: list[int], *, doubted: bool
) -> None:
    """`days` are when acknowledged runs ended by the clock of their time, and `today` is what the clock says now."""
    names = [f"run-{index}" for index in range(len(days))]
    acknowledged_runs(path, *names)
    date_runs(path, {name: NOW + timedelta(days=day) for name, day in zip(names, days, strict=True)})
    with sqlite3.connect(path) as connection:
        done = forget(connection, Retention(30, 1000), NOW + timedelta(days=today))
    connection.close()
    assert done.run_ids == tuple(names[index] for index in forgotten)
    assert bool(done.doubt) is doubted, done.doubt


def test_whatever_the_clock_says_the_size_is_held(path: Path) -> None:
    acknowledged_runs(path, "a", "b")
    stored = date_runs(path, {"a": NOW, "b": NOW})
    with sqlite3.connect(path) as connection:
        done = forget(connection, Retention(30, 0.6 * stored / 1e6), NOW + timedelta(days=AHEAD))
    connection.close()
    assert done.run_ids == ("a",) and "the clock says 2040-05-29" in done.doubt


@pytest.mark.parametrize("content", [b"no JSON", b'{"type":"run_stop"}', b'{"type":"run_stop","wall_time":"monday"}'])
def test_a_run_that_somebody_has_changed_is_not_forgotten(path: Path, content: bytes) -> None:
    acknowledged_runs(path, "a")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET content = ? WHERE seq = 3", (content,))
        assert forget(connection, Retention(0, 0), NOW).run_ids == ()
    connection.close()
