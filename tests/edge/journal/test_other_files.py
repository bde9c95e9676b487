"""The journal's files exchanged, removed or left over: nothing is claimed that is not there, and no newer record destroyed."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.filled_journal import fill, seqs

from edge.contracts.errors import JournalError
from edge.journal import sqlite_journal, tables
from edge.journal.archive import Archive
from edge.journal.journal_file import log_of
from edge.journal.sqlite_journal import SqliteJournal

pytestmark = pytest.mark.timeout(40)


def journal_with(path: Path, *run_ids: str, killed: bool = False) -> Path:
    """A journal of these runs; of a process that was `killed` as its files lay then."""
    journal = SqliteJournal(path)
    for run_id in run_ids:
        fill(journal, 40, run_id)
        journal.settle()
    if killed:
        kept = path.with_name("killed")
        kept.mkdir()
        for each in (path, log_of(path)):
            shutil.copyfile(each, kept / each.name)
        path = kept / path.name
    journal.close()
    return path


@pytest.mark.parametrize(
    "newer",
    [pytest.param(("a", "b", "c", "d"), id="a later state"), pytest.param(("x", "y"), id="another journal of the same name")],
)
def test_a_log_of_an_older_state_is_refused_and_destroys_nothing(tmp_path: Path, newer: tuple[str, ...]) -> None:
    killed = journal_with(tmp_path / "journal.sqlite", "a", "b", killed=True)
    other = tmp_path / "other"
    other.mkdir()
    content = journal_with(other / "journal.sqlite", *newer).read_bytes()
    killed.write_bytes(content)
    log = log_of(killed).read_bytes()
    for opened in (SqliteJournal, Archive):
        with pytest.raises(JournalError, match="is not its own"):
            opened(killed)
    assert (killed.read_bytes(), log_of(killed).read_bytes()) == (content, log)
    log_of(killed).unlink()
    journal = SqliteJournal(killed)
    assert journal.runs() == list(newer)
    journal.close()


@pytest.mark.parametrize("n_runs", [1, 2, 30])
def test_the_log_of_an_edge_that_was_killed_is_its_own(tmp_path: Path, n_runs: int) -> None:
    """With 30 runs a part of them was moved into the first file on the way."""
    names = [f"run-{index}" for index in range(n_runs)]
    journal = SqliteJournal(journal_with(tmp_path / "journal.sqlite", *names, killed=True))
    assert journal.runs() == names
    journal.close()


def replaced(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("which", "taken"),
    [
        pytest.param(Path, Path.unlink, id="removed"),
        pytest.param(log_of, Path.unlink, id="the log removed"),
        pytest.param(Path, replaced, id="replaced"),
        pytest.param(Path, lambda path: shutil.rmtree(path.parent), id="with its folder"),
    ],
)
def test_what_goes_to_a_file_that_was_taken_away_is_not_claimed(
    tmp_path: Path, which: Callable[[Path], Path], taken: Callable[[Path], None]
) -> None:
    path = tmp_path / "folder" / "journal.sqlite"
    journal = SqliteJournal(path)
    fill(journal, 3, stop=False)
    journal.settle()
    taken(which(path))
    with pytest.raises(JournalError, match="was removed or replaced while the edge wrote it"):
        journal.settle()
    assert "was removed or replaced" in journal.trouble
    journal.close()


def test_it_is_noticed_with_the_next_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    fill(journal, 3, "r", stop=False)
    journal.settle()
    path.unlink()
    fill(journal, 3, "s", stop=False)
    with pytest.raises(JournalError, match="was removed or replaced"):
        journal.settle()
    assert journal.read("s", 0, 10) == [], "nobody was shown a record that is nowhere"
    journal.close()


def test_killed_while_its_file_was_made_the_next_edge_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the files lay before every statement of the first opening: each is what a killed edge can leave."""
    path = tmp_path / "new" / "journal.sqlite"
    left: list[Path] = []

    def watched(opened: Path) -> sqlite3.Connection:
        connection = tables.connect(opened)

        def keep(statement: str) -> None:
            left.append(shutil.copytree(path.parent, tmp_path / f"before-{len(left)}") / path.name)

        connection.set_trace_callback(keep)
        return connection

    monkeypatch.setattr(sqlite_journal, "connect", watched)
    SqliteJournal(path).close()
    monkeypatch.undo()
    assert len(left) > 10
    for each in left:
        with closing(SqliteJournal(each)) as journal:
            fill(journal, 2)
            journal.settle()
            assert seqs(journal) == [0, 1, 2, 3], each


@pytest.mark.parametrize(
    ("made", "is_ours"),
    [
        pytest.param(
            "CREATE TABLE runs (number INTEGER PRIMARY KEY, name TEXT, acknowledged INTEGER)", True, id="an older edge's"
        ),
        pytest.param("CREATE TABLE runs (runner TEXT, distance_km REAL)", False, id="of people who run"),
        pytest.param("CREATE TABLE records (artist TEXT)", False, id="of music"),
    ],
)
def test_a_file_with_one_table_is_a_journal_only_when_that_is_its(tmp_path: Path, made: str, is_ours: bool) -> None:
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(made)
    if is_ours:
        with closing(SqliteJournal(path)) as journal:
            fill(journal, 2)
        return
    with pytest.raises(JournalError, match="database of another program"):
        SqliteJournal(path)
