"""The order of triggers: whatever threads do at the beginning of a run, it is that of the announcements, and none is lost."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.scripted_run import run_start

from edge.contracts.messages import Accepted, Rejected, TriggerCommand
from edge.contracts.records import FieldStatus
from edge.journal.memory_journal import MemoryJournal
from edge.journal.sqlite_journal import SqliteJournal
from edge.pipeline.ledger import LedgerRefusal
from edge.pipeline.trigger_desk import TriggerDesk

pytestmark = pytest.mark.timeout(60)
WINDOW = 16


@pytest.fixture
def _hurried_threads() -> Iterator[None]:
    """The interpreter changes threads as often as it can, as it does between the steps of a busy machine."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def command(index: int) -> TriggerCommand:
    return TriggerCommand(cmd_id=f"c{index}", run_id="r", trigger_id=f"t{index}", field_index=index)


@pytest.mark.usefixtures("_hurried_threads")
def test_triggers_that_follow_run_start_at_once_are_accepted_in_their_order_at_every_gap(tmp_path: Path) -> None:
    """The grabber opens the desk while the stream announces: neither may overtake the other, wherever between two announcements
    it does so."""
    journal = SqliteJournal(tmp_path / "journal.sqlite", "normal")
    try:
        for round_ in range(8):
            for first in range(WINDOW + 1):
                run_id = f"r{round_}-{first}"
                journal.append(run_start(run_id))
                desk, opened = TriggerDesk(journal, WINDOW), threading.Event()
                camera = threading.Thread(target=lambda desk=desk, opened=opened: (opened.wait(), desk.begin()))
                camera.start()
                for index in range(WINDOW):
                    if index == first:
                        opened.set()
                    assert desk.announce(command(index).model_copy(update={"run_id": run_id})) is None
                opened.set()
                camera.join()
                assert desk.close("over") is not None
                accepted = [answer for answer in desk.answers() if isinstance(answer, Accepted)]
                assert [answer.cmd_id for answer in accepted] == [f"c{index}" for index in range(WINDOW)]
                assert desk.ledger.left() == [(f"t{index}", index, None) for index in range(WINDOW)]
                assert desk.defect == ""
    finally:
        journal.close()


class StepwiseJournal(MemoryJournal):
    """Confirms the oldest trigger on its way when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: list[Callable[[], None]] = []

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        super().announce(command, lambda: self.under_way.append(done))


STEPS = st.lists(st.sampled_from(["begin", "announce", "again", "confirm", "take", "end"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_whatever_comes_between_begin_announce_confirm_and_close_every_accepted_trigger_ends_once(steps: list[str]) -> None:
    journal = StepwiseJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, window=4)
    announced, accepted, taken, ended = 0, list[str](), list[str](), list[str]()
    refused: list[str] = []

    def hear(answer: Accepted | Rejected | None) -> None:
        if answer is not None:
            (accepted if isinstance(answer, Accepted) else refused).append(answer.cmd_id)

    for step in steps:
        match step:
            case "begin":
                desk.begin()
            case "announce":
                hear(desk.announce(command(announced)))
                announced += 1
            case "again" if announced and f"c{announced - 1}" not in refused:
                answer = desk.announce(command(announced - 1))
                assert answer is None or isinstance(answer, Rejected) or answer.cmd_id in {f"c{announced - 1}"}
                hear(answer if isinstance(answer, Rejected) else None)
            case "confirm" if journal.under_way:
                journal.under_way.pop(0)()
            case "take":
                trigger = desk.next(0)
                taken += [trigger.trigger_id] if trigger else []
            case "end" if len(taken) > len(ended):
                desk.ledger.close(taken[len(ended)], FieldStatus.OK)
                ended.append(taken[len(ended)])
            case _:
                pass
        for answer in desk.answers():
            hear(answer)
    while journal.under_way:
        journal.under_way.pop(0)()
    left = [trigger.trigger_id for trigger in desk.close("over")]
    for answer in desk.answers():
        hear(answer)
    assert len(set(accepted)) == len(accepted)
    assert accepted == sorted(accepted, key=lambda cmd_id: int(cmd_id[1:])), "in the order of the announcements"
    assert taken + left == [f"t{cmd_id[1:]}" for cmd_id in accepted], "and so to the camera"
    assert set(accepted).isdisjoint(refused)
    assert [trigger_id for trigger_id, _, _ in desk.ledger.left()] == (taken + left)[len(ended) :]
    assert desk.defect == ""
    assert desk.unrecorded() == taken + left, "no field is on record yet, and each accepted trigger is missed"


def test_a_ledger_that_refuses_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never does, as long as the order holds; were it to, there must be no pulse and no run whose sums match."""
    journal = MemoryJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, WINDOW)
    desk.begin()
    desk.ledger.seal()
    assert desk.announce(command(0)) is None
    (answer,) = desk.answers()
    assert isinstance(answer, Rejected)
    assert "closed its account" in answer.reason
    assert desk.next(0) is None
    assert desk.unrecorded() == ["t0"]
    with pytest.raises(LedgerRefusal):
        desk.ledger.issue("t0", 0)


def test_a_desk_that_is_closed_while_it_opens_waits_for_what_is_on_its_way() -> None:
    """A camera whose start hangs is abandoned, and may open the desk later all the same: nothing is taken in then."""
    journal = StepwiseJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, WINDOW)
    assert desk.announce(command(0)) is None
    assert desk.close("the camera did not start") == []
    desk.begin()
    assert (journal.under_way, desk.ledger.issued) == ([], 0)
    (answer,) = desk.answers()
    assert isinstance(answer, Rejected)
    assert desk.unrecorded() == []


def test_an_early_trigger_that_breaks_the_journal_leaves_none_behind_it_pending() -> None:
    class Breaking(MemoryJournal):
        def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
            raise RuntimeError("scripted")

    desk = TriggerDesk(Breaking(), WINDOW)
    assert [desk.announce(command(index)) for index in range(3)] == [None] * 3
    with pytest.raises(RuntimeError, match="scripted"):
        desk.begin()
    began_s = time.monotonic()
    assert desk.close("over") == []
    assert [answer.cmd_id for answer in desk.answers()] == ["c1", "c2"]
    assert time.monotonic() - began_s < 30, "closing waits for nothing"


def test_a_trigger_that_is_on_its_way_is_not_announced_by_another_command() -> None:
    journal = StepwiseJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, WINDOW)
    desk.begin()
    assert desk.announce(command(0)) is None
    answer = desk.announce(command(0).model_copy(update={"cmd_id": "other"}))
    assert isinstance(answer, Rejected)
    assert answer.code == "duplicate_trigger"
