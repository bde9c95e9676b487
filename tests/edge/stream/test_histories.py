"""A journal that went back in time: real files, copied in mid-run and put back."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.scripted_run import field_record, run_start
from support.wire import RawClient

from edge.contracts.errors import StreamError
from edge.contracts.messages import Resume
from edge.journal.interrupted import end_interrupted
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders
from edge.stream.client import Controller
from edge.stream.server import EdgeServer

pytestmark = pytest.mark.timeout(30)
WALL = "2030-01-02T03:04:05Z"


def _write(path: Path, boot_id: str, upto_seq: int) -> None:
    """Go on with run r up to this record, as one process; it is killed then."""
    journal = SqliteJournal(path, boot_id=boot_id)
    for seq in range(journal.next_seq("r"), upto_seq + 1):
        journal.append(field_record("r", seq) if seq else run_start("r"))
    journal.close()


@pytest.fixture
def journal_that_went_back(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A backup with records 0 .. 9 was put back when there were 20, and the next process has ended the run with record 10."""
    path, backup = tmp_path / "journal.sqlite", tmp_path / "backup.sqlite"
    _write(path, "boot-a", 9)
    shutil.copy(path, backup)
    _write(path, "boot-a", 19)
    for file in tmp_path.glob("journal.sqlite*"):
        file.unlink()
    shutil.copy(backup, path)
    journal = SqliteJournal(path, boot_id="boot-b")
    assert end_interrupted(journal, WALL) == ["r"]
    journal.settle()
    yield journal
    journal.close()


@pytest.mark.parametrize(
    ("next_seq", "boot_id", "code"),
    [
        pytest.param(20, "boot-a", "other_history", id="the client holds more than there is"),
        pytest.param(20, None, "other_history", id="also when it does not say whose records it holds"),
        pytest.param(11, "boot-a", "other_history", id="as many as there are, and the last is another one"),
        pytest.param(11, "boot-b", None, id="it has read the new end"),
        pytest.param(10, "boot-a", None, id="what it holds was in the backup: it gets the new end"),
        pytest.param(10, "boot-b", "other_history", id="another copy of the journal was read before"),
        pytest.param(11, None, None, id="a client of before: nobody can tell"),
        pytest.param(0, None, None, id="it holds nothing"),
        pytest.param(0, "boot-a", None, id="it holds nothing and says from whom"),
    ],
)
def test_a_resume_into_another_history_is_refused(
    journal_that_went_back: SqliteJournal, next_seq: int, boot_id: str | None, code: str | None
) -> None:
    journal = journal_that_went_back
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot-b") as server,
        RawClient(server.endpoint) as client,
    ):
        answer = client.hello(resume={"run_id": "r", "next_seq": next_seq, "boot_id": boot_id})
        assert answer.get("code") == code
        if code is not None:
            assert (answer["run_id"], answer["next_seq"], answer["refused_type"]) == ("r", 11, "HELLO")
            assert client.ask(type="QUERY", cmd_id="q")["code"] == "state", "there is no session"
        else:
            client.send(type="ACK", run_id="r", upto_seq=next_seq - 1, send_until_seq=99)
            if next_seq < 11:
                assert client.receive()["seq"] == next_seq
        server.close(drain_s=0)


def test_the_reference_client_stops_with_one_sentence(journal_that_went_back: SqliteJournal) -> None:
    journal = journal_that_went_back
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot-b") as server,
        Controller(server.endpoint) as controller,
    ):
        with pytest.raises(StreamError, match=r"other_history.*read the run anew from seq 0"):
            controller.connect(resume=Resume(run_id="r", next_seq=11, boot_id="boot-a"))
        controller.connect()
        records = list(controller.records("r"))
        assert [record.boot_id for record in records] == ["boot-a"] * 10 + ["boot-b"]
        assert controller.connect(resume=Resume(run_id="r", next_seq=11, boot_id="boot-b")).runs[0].acknowledged == 10
        server.close(drain_s=0)


def test_what_is_no_longer_held_cannot_be_compared() -> None:
    journal = MemoryJournal(keep_acknowledged=0, boot_id="boot-a")
    for seq in range(5):
        journal.append(field_record("r", seq) if seq else run_start("r"))
    journal.acknowledge("r", 4)
    with (
        EdgeServer("tcp://127.0.0.1:0", journal, RunOrders(StopSwitch(), journal), "boot-a") as server,
        RawClient(server.endpoint) as client,
    ):
        assert client.hello(resume={"run_id": "r", "next_seq": 5, "boot_id": "boot-x"})["type"] == "WELCOME"
        server.close(drain_s=0)
