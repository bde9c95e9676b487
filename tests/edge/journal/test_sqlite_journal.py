"""The journal on disk: durable before readable, whole after a crash, ended in order when the disk is full."""

import json
import multiprocessing
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.filled_journal import fill, seqs, until
from support.full_disk import files_limited_to
from support.scripted_run import field_record, run_start

from edge.contracts.errors import JournalError
from edge.journal.archive import Archive
from edge.journal.sqlite_journal import SqliteJournal
from edge.journal.tables import WaitingRecord, WaitingTrigger, write

pytestmark = pytest.mark.timeout(40)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], SqliteJournal]]:
    journals: list[SqliteJournal] = []

    def open_() -> SqliteJournal:
        journals.append(SqliteJournal(path))
        return journals[-1]

    yield open_
    for journal in journals:
        journal.close()


def test_what_was_written_is_there_after_a_restart(opened: Callable[[], SqliteJournal]) -> None:
    first = opened()
    fill(first, 20)
    fill(first, 3, "s", stop=False)
    until(lambda: len(seqs(first, "s")) == 4)
    first.acknowledge("r", 7)
    first.close()
    again = opened()
    assert (again.runs(), again.finished("r"), again.finished("s")) == (["r", "s"], True, False)
    assert (again.next_seq("r"), again.acknowledged("r"), again.acknowledged("s")) == (22, 7, -1)
    assert [json.loads(content)["seq"] for _, content in again.read("r", 0, 100)] == list(range(22))
    again.append(field_record("s", 4))
    until(lambda: seqs(again, "s") == [0, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        pytest.param(field_record("r", 7), "expects seq 4", id="a gap"),
        pytest.param(field_record("r", 3), "expects seq 4", id="a record twice"),
    ],
)
def test_a_gap_is_never_papered_over(opened: Callable[[], SqliteJournal], record: object, words: str) -> None:
    journal = opened()
    fill(journal, 3, stop=False)
    with pytest.raises(ValueError, match=words):
        journal.append(record)  # type: ignore[arg-type]


def test_a_finished_run_takes_nothing_more(opened: Callable[[], SqliteJournal]) -> None:
    journal = opened()
    fill(journal, 1)
    with pytest.raises(ValueError, match="is finished"):
        journal.append(field_record("r", 3))
    with pytest.raises(ValueError, match="has no record 9"):
        journal.acknowledge("r", 9)


def test_an_acknowledgement_goes_to_disk_with_the_next_record(
    opened: Callable[[], SqliteJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sync for both, not one that the record has to wait for."""
    monkeypatch.setattr("edge.journal.sqlite_journal._ACKNOWLEDGED_WITHIN_S", 300.0)
    written: list[tuple[int, dict[int, int]]] = []

    def noted(writer: sqlite3.Connection, batch: list[WaitingRecord | WaitingTrigger], upto: dict[int, int]) -> None:
        written.append((len(batch), dict(upto)))
        write(writer, batch, upto)

    monkeypatch.setattr("edge.journal.sqlite_journal.write", noted)
    journal = opened()
    fill(journal, 2, stop=False)
    journal.settle()
    written.clear()
    journal.acknowledge("r", 1)
    journal.append(field_record("r", 3))
    journal.settle()
    assert written == [(1, {0: 1})]
    journal.acknowledge("r", 3)
    journal.close()
    assert written[1:] == [(0, {0: 3})], "at the end alone"


def test_nothing_can_be_read_before_it_is_committed(
    opened: Callable[[], SqliteJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened()
    may, woken = threading.Event(), []
    journal.on_append(lambda: woken.append(True))

    def late(*what: object) -> None:
        may.wait(10)
        write(*what)  # type: ignore[arg-type]

    monkeypatch.setattr("edge.journal.sqlite_journal.write", late)
    fill(journal, 2)
    assert (journal.next_seq("r"), seqs(journal), woken) == (4, [], [])
    may.set()
    until(lambda: seqs(journal) == [0, 1, 2, 3])
    assert woken


def test_one_process_at_a_time(path: Path, opened: Callable[[], SqliteJournal]) -> None:
    opened()
    with pytest.raises(JournalError, match="in use by another edge process"):
        SqliteJournal(path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"no database at all, but long enough to be read as one", id="another file"),
        pytest.param(None, id="a folder"),
    ],
)
def test_a_path_that_is_no_journal_says_so(path: Path, content: bytes | None) -> None:
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content * 100)
    with pytest.raises(JournalError, match="cannot be opened"):
        SqliteJournal(path)


def test_a_full_disk_ends_the_run_and_loses_nothing(path: Path, opened: Callable[[], SqliteJournal]) -> None:
    journal = opened()
    fill(journal, 5, stop=False)
    until(lambda: len(seqs(journal)) == 6)
    log = path.with_name("journal.sqlite-wal")
    with files_limited_to(log.stat().st_size + 20_000):
        seq = 6
        with pytest.raises(JournalError, match=r"can no longer be written .* check its disk"):
            while True:
                journal.append(field_record("r", seq))
                seq += 1
                time.sleep(0.002)
    assert "can no longer be written" in journal.trouble
    kept = seqs(journal)
    assert kept == list(range(len(kept))) and len(kept) >= 6
    journal.close()
    again = opened()
    assert seqs(again) == kept, "what was readable must be there after the restart"


def test_the_reserve_lets_a_run_be_ended(
    path: Path, opened: Callable[[], SqliteJournal], monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened()
    reserve = path.with_name("journal.sqlite.reserve")

    def full_while_reserved(*what: object) -> None:
        if reserve.exists():
            raise sqlite3.OperationalError("database or disk is full")
        write(*what)  # type: ignore[arg-type]

    monkeypatch.setattr("edge.journal.sqlite_journal.write", full_while_reserved)
    fill(journal, 2)
    until(lambda: seqs(journal) == [0, 1, 2, 3])
    assert "has no room for more records (database or disk is full)" in journal.trouble
    journal.close()
    assert seqs(opened()) == [0, 1, 2, 3]
    assert reserve.exists(), "the next run begins with a reserve again"


def _write_until_killed(path: str, told: "multiprocessing.connection.Connection") -> None:  # type: ignore[name-defined]
    journal = SqliteJournal(Path(path))
    journal.on_append(lambda: told.send(journal.read("r", 0, 10**6)[-1][0]))
    journal.append(run_start("r"))
    for seq in range(1, 10**6):
        journal.append(field_record("r", seq))


@pytest.mark.parametrize("after_s", [0.05, 0.15, 0.3])
def test_every_record_that_was_readable_survives_a_kill(
    path: Path, opened: Callable[[], SqliteJournal], after_s: float
) -> None:
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_write_until_killed, args=(str(path), sending))
    process.start()
    sending.close()
    last = receiving.recv()
    deadline_s = time.monotonic() + after_s
    while time.monotonic() < deadline_s:
        last = receiving.recv() if receiving.poll(0.01) else last
    process.kill()
    process.join(10)
    try:
        while True:
            last = receiving.recv()
    except EOFError:
        pass
    journal = opened()
    kept = seqs(journal)
    assert kept == list(range(len(kept)))
    assert kept[-1] >= last
    archive = Archive(path)
    assert archive.problem(archive.run("r")) == ""
    archive.close()


@pytest.mark.parametrize(
    "store",
    [
        pytest.param("journal.on_append(sent); mark(); journal.append(run_start('r'))", id="a record is sent"),
        pytest.param(
            "journal.append(run_start('r')); until(lambda: journal.read('r', 0, 1)); mark(); "
            "journal.announce(TriggerCommand(cmd_id='c', run_id='r', trigger_id='t', field_index=0), sent)",
            id="a trigger is accepted",
        ),
    ],
)
def test_the_sync_comes_first(path: Path, store: str) -> None:
    """By trace of the system calls: the log is synchronised before the callback that makes the stream send writes its mark."""
    tracer = shutil.which("strace")
    if tracer is None:
        pytest.skip("strace is not installed, without which the order of system calls cannot be seen")
    script = (
        "import os, sys, time; sys.path.insert(0, 'tests/helpers'); from pathlib import Path\n"
        "from support.scripted_run import run_start\n"
        "from edge.contracts.messages import TriggerCommand\n"
        "from edge.journal.sqlite_journal import SqliteJournal\n"
        "sent, mark = (lambda: os.write(2, b'SENT')), (lambda: os.write(2, b'APPENDED'))\n"
        "def until(done):\n    while not done(): time.sleep(0.001)\n"
        f"journal = SqliteJournal(Path({str(path)!r}))\n"
        f"{store}; journal.close()\n"
    )
    calls = "trace=write,pwrite64,fsync,fdatasync"
    done = subprocess.run(
        [tracer, "-f", "-y", "-e", calls, sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    if "ptrace" in done.stderr and "Operation not permitted" in done.stderr:
        pytest.skip("this system lets nobody trace system calls")
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stderr.splitlines()
    (appended,) = (index for index, line in enumerate(lines) if '"APPENDED"' in line)
    (sent,) = (index for index, line in enumerate(lines) if '"SENT"' in line)
    between = lines[appended:sent]
    written = [index for index, line in enumerate(between) if "pwrite64" in line and "-wal>" in line]
    synced = [index for index, line in enumerate(between) if "sync(" in line and "-wal>" in line]
    assert written and synced and written[-1] < synced[-1]


def test_each_way_of_tampering_is_found(path: Path, opened: Callable[[], SqliteJournal]) -> None:
    journal = opened()
    fill(journal, 5)
    journal.close()
    for change, says in (
        ("UPDATE records SET content = replace(content, 'ok', 'ko') WHERE seq = 3", "record 3 is not what was written"),
        ("DELETE FROM records WHERE seq = 2", "records 2 to 2 are missing"),
        ("DELETE FROM records WHERE seq = 0", "records 0 to 0 are missing"),
        ("UPDATE records SET link = zeroblob(32) WHERE seq = 6", "record 6 is not what was written"),
    ):
        copy = path.with_name("copy.sqlite")
        shutil.copy(path, copy)
        with sqlite3.connect(copy) as connection:
            connection.execute(change)
        connection.close()
        archive = Archive(copy)
        assert archive.problem(archive.run("r")) == says
        archive.close()
        copy.unlink()
    archive = Archive(path)
    assert archive.problem(archive.run("r")) == ""
    archive.close()


def test_an_interrupt_signal_during_a_commit_changes_nothing(opened: Callable[[], SqliteJournal]) -> None:
    journal = opened()
    caught: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: caught.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        fill(journal, 200)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    until(lambda: len(seqs(journal)) == 202)
    assert caught
