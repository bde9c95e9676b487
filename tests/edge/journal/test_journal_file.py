"""A journal's file among other programs, on media that cannot be written, and copied without the half that has the newest."""

import errno
import json
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.filled_journal import fill, seqs, until
from support.full_disk import files_limited_to
from support.scripted_run import field_record, run_start
from support.unwritable import python, why_no_read_only_disk, with_read_only

from edge.contracts.errors import JournalError
from edge.journal import sqlite_journal
from edge.journal.archive import Archive
from edge.journal.journal_file import trouble_of
from edge.journal.sqlite_journal import SqliteJournal
from edge.watch.journal_text import export_run, tell_runs, verify_runs

pytestmark = pytest.mark.timeout(40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.sqlite"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.journal.sqlite_journal._NOTICED_S", 0.05)
    monkeypatch.setattr("edge.journal.tables._OPENING_S", 0.1)


@contextmanager
def held_by_another(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.mark.parametrize(
    ("problem", "trouble"),
    [
        ("database is locked", "held"),
        ("database table is locked: records", "held"),
        ("locking protocol", "held"),
        ("database or disk is full", "full"),
        ("disk I/O error", "other"),
        ("attempt to write a readonly database", "other"),
        ("database disk image is malformed", "other"),
    ],
)
def test_a_held_file_is_no_full_disk(problem: str, trouble: str) -> None:
    assert trouble_of(sqlite3.OperationalError(problem)) == trouble


def test_a_quota_that_is_used_up_is_told_from_a_disk_that_fails(tmp_path: Path) -> None:
    problem, path = sqlite3.OperationalError("disk I/O error"), tmp_path / "journal.sqlite"
    assert trouble_of(problem, path) == "other"
    with files_limited_to(1000):
        assert trouble_of(problem, path) == "full"
    assert list(tmp_path.iterdir()) == []


def test_records_wait_for_a_program_that_holds_the_file(path: Path) -> None:
    journal, heard = SqliteJournal(path), list[str]()
    told = threading.Event()
    journal.on_held(lambda sentence: (heard.append(sentence), told.set()))
    with held_by_another(path):
        fill(journal, 5)
        assert told.wait(10)
        assert seqs(journal) == [], "what is not on disk cannot be read"
        assert journal.trouble == "", "the run goes on"
    journal.settle()
    assert seqs(journal) == list(range(7))
    assert len(heard) == 1 and "another program holds the file" in heard[0]
    assert path.with_name("journal.sqlite.reserve").exists(), "its disk is not full"
    journal.close()


def test_a_program_that_never_lets_go_ends_the_run_and_nothing_is_claimed(path: Path) -> None:
    journal = SqliteJournal(path, patience_s=0.3)
    fill(journal, 1, stop=False)
    journal.settle()
    with held_by_another(path):
        for seq in (2, 3, 4):
            journal.append(field_record("r", seq))
        with pytest.raises(JournalError, match=r"another program has held its file .* last 3 records are not in it; close"):
            journal.settle()
        with pytest.raises(JournalError, match="another program"):
            journal.append(field_record("r", 5))
    journal.close()
    again = SqliteJournal(path)
    assert seqs(again) == [0, 1]
    again.close()


def test_a_journal_that_is_held_cannot_be_opened_and_says_by_what(path: Path) -> None:
    SqliteJournal(path).close()
    with held_by_another(path) as other, pytest.raises(JournalError, match="another program holds its file"):
        other.execute("SELECT 1")
        SqliteJournal(path)
    journal = SqliteJournal(path)
    journal.close()


def test_a_thread_that_fails_by_a_defect_ends_the_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    journal = SqliteJournal(path)
    monkeypatch.setattr("edge.journal.sqlite_journal.write", broken)
    journal.append(run_start("r"))
    until(lambda: bool(journal.trouble))
    assert "can no longer be written" in journal.trouble
    journal.close()


def left_open(path: Path) -> SqliteJournal:
    """One run that has ended, and one that goes on."""
    journal = SqliteJournal(path)
    fill(journal, 2, "whole")
    fill(journal, 3, "begun", stop=False)
    journal.settle()
    return journal


def test_a_copy_without_its_log_is_not_taken_for_whole(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = left_open(path)
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    journal.close()
    says = r"copy.sqlite may lack its newest records: .* copy.sqlite-wal is not beside it"
    for _ in range(2):  # looking does not change it
        with pytest.raises(JournalError, match=says):
            tell_runs(copy, as_json=True)
        with pytest.raises(JournalError, match=says):
            verify_runs(copy, None, as_json=False)
    assert not copy.with_name("copy.sqlite-wal").exists()
    assert capsys.readouterr().out.startswith("[]"), "what is there is shown"


def test_a_copy_with_its_log_is_whole(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = left_open(path)
    for name in ("journal.sqlite", "journal.sqlite-wal"):
        shutil.copy(path.with_name(name), tmp_path / name)
    journal.close()
    verify_runs(tmp_path / "journal.sqlite", None, as_json=False)
    assert capsys.readouterr().out.count("whole  last link") == 2


def hide_all_but_the_first(path: Path) -> None:
    """Let the index of the records name one of them: whoever looks for a run's finds no other."""
    with closing(sqlite3.connect(path)) as other:
        (size,), (page,) = (
            other.execute("PRAGMA page_size").fetchone(),
            other.execute("SELECT rootpage FROM sqlite_master WHERE type = 'index' AND tbl_name = 'records'").fetchone(),
        )
    content = bytearray(path.read_bytes())
    content[(page - 1) * size + 3 : (page - 1) * size + 5] = (0, 1)
    path.write_bytes(content)


def take_the_run_out(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM runs")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(hide_all_but_the_first, "the file is damaged", id="an index that names one record of many"),
        pytest.param(take_the_run_out, "records belong to no run", id="a run whose name is gone"),
    ],
)
def test_records_that_nobody_would_find_are_told_of(path: Path, harm: Callable[[Path], None], says: str) -> None:
    journal = SqliteJournal(path)
    fill(journal, 12, "run")
    journal.settle()
    journal.close()
    verify_runs(path, None, as_json=False)
    harm(path)
    with pytest.raises(JournalError, match=says):
        verify_runs(path, None, as_json=False)


def test_no_edge_writes_on_where_records_are_missing(path: Path, tmp_path: Path) -> None:
    journal = left_open(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint").fetchall()
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    journal.close()
    with pytest.raises(JournalError, match=r"may lack its newest records: .* give another one with --journal"):
        SqliteJournal(copy)
    with pytest.raises(JournalError, match="may lack"):
        export_run(copy, "begun", tmp_path / "begun.jsonl")
    assert [json.loads(line)["seq"] for line in (tmp_path / "begun.jsonl").read_text().splitlines()] == [0, 1, 2, 3]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "copied with its log"])
def test_an_archive_on_a_medium_that_cannot_be_written_is_read(path: Path, tmp_path: Path, *, closed: bool) -> None:
    if why := why_no_read_only_disk():
        pytest.skip(why)
    journal = left_open(path)
    medium = tmp_path / "medium"
    medium.mkdir()
    if closed:
        journal.close()
        shutil.copy(path, medium)
    else:
        for name in ("journal.sqlite", "journal.sqlite-wal"):
            shutil.copy(path.with_name(name), medium)
        journal.close()
    read = (
        "import sys; from pathlib import Path; from edge.watch.journal_text import verify_runs\n"
        "verify_runs(Path(sys.argv[1]), None, as_json=False)"
    )
    done = subprocess.run(
        with_read_only(medium, python(read, str(medium / "journal.sqlite"))), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.count("whole  last link")) == (0, 2), done.stderr
    assert len(list(medium.iterdir())) == (1 if closed else 2)


def test_after_a_kill_the_log_is_there_and_nothing_is_missing(path: Path, tmp_path: Path) -> None:
    journal = left_open(path)
    for name in ("journal.sqlite", "journal.sqlite-wal"):  # as a killed process leaves them
        shutil.copy(path.with_name(name), tmp_path / name)
    journal.close()
    again = SqliteJournal(tmp_path / "journal.sqlite")
    assert (again.warning, again.next_seq("begun")) == ("", 4)
    again.close()
    archive = Archive(tmp_path / "journal.sqlite")
    assert archive.lacks == ""
    archive.close()


def test_a_journal_that_could_not_be_marked_is_still_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = left_open(path)
    monkeypatch.setattr("edge.journal.journal_file._marked_closed", lambda _: False)  # as on a full disk
    journal.close()
    again = SqliteJournal(path)
    assert (again.warning, again.next_seq("begun")) == ("", 4)
    again.close()


def test_a_journal_that_could_not_be_opened_for_want_of_room_lacks_nothing_afterwards(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log goes with the last connection, whether or not the file could be marked as closed."""
    journal = SqliteJournal(path)
    fill(journal, 3)
    journal.close()

    def no_room(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(sqlite_journal, "make_reserve", no_room)
        for _ in range(2):
            with pytest.raises(JournalError, match="No space left"):
                SqliteJournal(path)
    again = SqliteJournal(path)
    assert seqs(again) == [0, 1, 2, 3, 4] and not again.warning
    again.close()
