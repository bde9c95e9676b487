"""Announced triggers: journalled before they are accepted, held back by credit, each with exactly one end."""

import threading
from collections.abc import Callable

import pytest
from support.scripted_run import run_start
from support.stand_ins import HEIGHT_PX, WIDTH_PX, frame_of

from edge.camera.frame import Frame, SourceBase, SourceEnded, SourceInfo, SourceTimeout, Trigger
from edge.contracts.errors import JournalError
from edge.contracts.messages import Accepted, Rejected, TriggerCommand
from edge.contracts.records import FieldStatus
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.exposures import Exposures
from edge.pipeline.intake import AdviceNote
from edge.pipeline.run_control import Backlog
from edge.pipeline.trigger_desk import TriggerDesk


def command(index: int, trigger_id: str | None = None, cmd_id: str | None = None) -> TriggerCommand:
    name = trigger_id or f"t{index}"
    return TriggerCommand(cmd_id=cmd_id or f"c-{name}", run_id="r", trigger_id=name, field_index=index)


class LateJournal(MemoryJournal):
    """Confirms triggers when it is told to, as a slow disk does."""

    def __init__(self) -> None:
        super().__init__()
        self.confirmations: list[Callable[[], None]] = []

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        super().announce(command, lambda: self.confirmations.append(done))


def begun(journal: MemoryJournal, window: int = 4, max_triggers: int | None = None) -> TriggerDesk:
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, window, max_triggers)
    desk.begin()
    return desk


def test_a_trigger_is_neither_accepted_nor_exposed_before_the_journal_holds_it() -> None:
    journal = LateJournal()
    desk = begun(journal)
    assert desk.announce(command(0)) is None
    assert (desk.answers(), desk.next(0), desk.ledger.issued) == ([], None, 0)
    journal.confirmations.pop()()
    assert desk.answers() == [Accepted(cmd_id="c-t0", trigger_until=4)]
    assert desk.next(0) == Trigger("t0", 0, None)


def test_a_trigger_that_comes_before_the_run_has_begun_waits_for_run_start() -> None:
    journal = MemoryJournal()
    desk = TriggerDesk(journal, 4)
    assert desk.announce(command(0)) is None
    assert desk.next(0) is None
    journal.append(run_start("r"))
    desk.begin()
    assert [answer.cmd_id for answer in desk.answers()] == ["c-t0"]


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        pytest.param(command(1), Accepted(cmd_id="c-t1", trigger_until=4), id="the same: answered the same, done once"),
        pytest.param(command(1, cmd_id="other"), "duplicate_trigger", id="another command, same trigger"),
        pytest.param(command(1, "t9"), "state", id="an index that did not rise"),
        pytest.param(command(0, "t9"), "state", id="an index that falls"),
    ],
)
def test_what_is_announced_again(again: TriggerCommand, expected: Accepted | str) -> None:
    desk = begun(MemoryJournal())
    for index in (0, 1):
        assert desk.announce(command(index)) is None
    desk.answers()
    answer = desk.announce(again)
    assert answer == expected if isinstance(expected, Accepted) else isinstance(answer, Rejected) and answer.code == expected
    assert desk.ledger.issued == 2


def test_a_trigger_repeated_while_its_answer_is_on_the_way_is_entered_once() -> None:
    journal = LateJournal()
    desk = begun(journal)
    assert (desk.announce(command(0)), desk.announce(command(0))) == (None, None)
    assert len(journal.confirmations) == 1


def test_credit_grows_with_the_triggers_that_end_and_stands_still_while_held() -> None:
    desk = begun(MemoryJournal(), window=2)
    assert [desk.announce(command(index)) for index in (0, 1)] == [None, None]
    refused = desk.announce(command(2))
    assert isinstance(refused, Rejected)
    assert refused.code == "credit"
    desk.ledger.close("t0", FieldStatus.OK)
    assert desk.trigger_until == 3
    desk.hold(True)
    desk.ledger.close("t1", FieldStatus.OK)
    assert desk.trigger_until == 3, "what was given stays, nothing is added"
    assert desk.announce(command(2)) is None
    desk.hold(False)
    assert desk.trigger_until == 4


def test_a_run_of_so_many_fields_gives_credit_for_no_more() -> None:
    desk = begun(MemoryJournal(), window=8, max_triggers=2)
    assert desk.trigger_until == 2
    desk.announce(command(0))
    assert not desk.complete
    desk.announce(command(1))
    assert [desk.next(0), desk.next(0)] == [Trigger("t0", 0, None), Trigger("t1", 1, None)]
    assert desk.complete


def test_closing_waits_for_triggers_on_their_way_to_the_journal_and_returns_the_unexposed() -> None:
    journal = LateJournal()
    desk = begun(journal)
    desk.announce(command(0))
    journal.confirmations.pop()()
    desk.announce(command(1))
    timer = threading.Timer(0.1, journal.confirmations.pop())
    timer.start()
    assert desk.next(0) == Trigger("t0", 0, None)
    assert desk.close("asked for") == [Trigger("t1", 1, None)]
    refused = desk.announce(command(2))
    assert isinstance(refused, Rejected)
    assert refused.reason == "the run takes no more triggers: asked for."
    timer.join()


class FailingJournal(MemoryJournal):
    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self._problem = problem

    def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
        raise self._problem


def test_a_journal_that_fails_refuses_the_trigger() -> None:
    desk = begun(FailingJournal(JournalError("the disk is full.")))
    refused = desk.announce(command(0))
    assert isinstance(refused, Rejected)
    assert refused.reason == "the disk is full."
    assert desk.close("over") == [], "and closing does not wait for it"


def test_an_index_is_taken_by_what_the_journal_holds_alone() -> None:
    """One that it refused counts as not announced: the same index may be announced by a new command."""

    class Hesitant(MemoryJournal):
        def announce(self, command: TriggerCommand, done: Callable[[], None]) -> None:
            if command.cmd_id.endswith("refused"):
                raise JournalError("the journal's file is held.")
            super().announce(command, done)

    desk = begun(Hesitant())
    said: list[Accepted | Rejected | None] = []
    for index, cmd_id in ((4, "a"), (9, "refused"), (6, "b"), (8, "refused"), (6, "c"), (8, "d")):
        trigger = command(index).model_copy(update={"cmd_id": cmd_id, "trigger_id": f"t-{index}-{cmd_id}"})
        said += [answer for answer in (desk.announce(trigger), *desk.answers()) if answer is not None]
    outcome = [(answer.cmd_id, "" if isinstance(answer, Accepted) else answer.reason[:23]) for answer in said]
    late, held = "field 6 came after fiel", "the journal's file is h"
    assert outcome == [("a", ""), ("refused", held), ("b", ""), ("refused", held), ("c", late), ("d", "")]


def test_a_trigger_announced_before_the_run_began_hears_of_the_refusal_too() -> None:
    desk = TriggerDesk(FailingJournal(JournalError("the disk is full.")), window=4)
    assert desk.announce(command(0)) is None
    desk.begin()
    (refused,) = desk.answers()
    assert isinstance(refused, Rejected)
    assert (refused.cmd_id, refused.reason) == ("c-t0", "the disk is full.")


def test_a_journal_that_crashes_leaves_nothing_that_closing_would_wait_for() -> None:
    desk = begun(FailingJournal(RuntimeError("scripted")))
    with pytest.raises(RuntimeError, match="scripted"):
        desk.announce(command(0))
    assert desk.close("over") == []


def test_credit_stands_still_until_nobody_holds_it_any_more() -> None:
    desk = begun(MemoryJournal(), window=2)
    desk.announce(command(0))
    desk.hold(True)
    desk.hold(True, "camera")
    desk.ledger.close("t0", FieldStatus.OK)
    desk.hold(False)
    assert desk.trigger_until == 2, "the camera is still gone"
    desk.hold(False, "camera")
    assert desk.trigger_until == 3


class ScriptedCamera(SourceBase):
    """A triggered source that answers each exposure with what its script says: frames by trigger index, or nothing."""

    def __init__(self, script: dict[str, list[Frame]], now_ns: list[int]) -> None:
        super().__init__()
        self.info = SourceInfo("scripted:", WIDTH_PX, HEIGHT_PX, 0.13, None, self_paced=False, exposures_at_once=16)
        self.expected: list[str] = []
        self._script = script
        self._frames: list[Frame] = []
        self._now_ns = now_ns

    def expect(self, trigger: Trigger) -> None:
        self.expected.append(trigger.trigger_id)
        self._frames += self._script.get(trigger.trigger_id, [])

    def give_up(self, trigger_id: str) -> None:
        pass

    def read(self, timeout_s: float) -> Frame:
        if self._frames:
            return self._frames.pop(0)
        self._now_ns[0] += 300_000_000
        raise SourceTimeout("nothing")

    def close(self) -> None:
        pass


F = frame_of


@pytest.mark.parametrize(
    ("script", "ends", "notes"),
    [
        pytest.param({"t0": [F(0)], "t1": [F(1)]}, ["t0 ok", "t1 ok"], [], id="as it should be"),
        pytest.param({"t1": [F(1)]}, ["t0 lost", "t1 ok"], [], id="the later frame shows that the first never came"),
        pytest.param({"t0": [F(0)]}, ["t0 ok", "t1 timeout"], [], id="no frame in time"),
        pytest.param({}, ["t0 timeout", "t1 timeout"], [], id="a camera that is silent"),
        pytest.param({"t1": [F(1), F(0)]}, ["t0 lost", "t1 ok"], ["late_frame"], id="late: its trigger has ended"),
        pytest.param({"t0": [F(0), F(0)], "t1": [F(1)]}, ["t0 ok", "t1 ok"], ["unannounced_frame"], id="twice"),
        pytest.param({"t0": [F(0), F(7)], "t1": [F(1)]}, ["t0 ok", "t1 ok"], ["unannounced_frame"], id="of nobody"),
        pytest.param({"t0": [F(0, status="incomplete")], "t1": [F(1)]}, ["t0 incomplete", "t1 ok"], [], id="damaged"),
    ],
)
def test_every_trigger_gets_its_frame_or_the_reason_why_not(
    script: dict[str, list[Frame]], ends: list[str], notes: list[str]
) -> None:
    desk = begun(MemoryJournal(), max_triggers=2)
    now_ns = [0]
    camera = ScriptedCamera(script, now_ns)
    exposures = Exposures(camera, desk, timeout_s=1.0, clock=lambda: now_ns[0])
    for index in (0, 1):
        desk.announce(command(index))
    found, noted = [], []
    with pytest.raises(SourceEnded, match="all fields that were asked for"):
        while True:
            try:
                frame = exposures.read(0.0)
                found.append(f"{frame.trigger_id} {frame.status}")
            except SourceTimeout:
                now_ns[0] += 10**10  # in which nobody reads: that is not held against a trigger
            finally:
                noted += [note.code for note in exposures.notes()]
    assert (found, noted) == (ends, notes)


def test_triggers_are_accepted_once_the_camera_is_started() -> None:
    """A scanner that stands at its first field pulses at once; a camera that is just being started would swallow that."""
    told: list[str] = []

    class Starting(ScriptedCamera):
        def start(self) -> None:
            super().start()
            told.append(f"started, answers so far: {len(desk.answers())}")

    journal = MemoryJournal()
    journal.append(run_start("r"))
    desk = TriggerDesk(journal, window=4)
    assert desk.announce(command(0)) is None
    Exposures(Starting({}, [0]), desk, timeout_s=1.0).start()
    assert told == ["started, answers so far: 0"]
    assert [answer.cmd_id for answer in desk.answers()] == ["c-t0"]


def test_a_trigger_announced_to_a_run_that_never_began_is_refused() -> None:
    desk = TriggerDesk(MemoryJournal(), window=4)
    desk.announce(command(0))
    assert desk.close("the camera could not be started") == []
    (refused,) = desk.answers()
    assert isinstance(refused, Rejected)
    assert refused.reason == "the run takes no more triggers: the camera could not be started."


def test_a_run_ends_when_no_frame_can_come_any_more_that_would_show_a_mistake() -> None:
    camera = ScriptedCamera({"t0": [F(0)]}, [0])
    certain = [False]
    type(camera).is_certain = property(lambda _: certain[0])  # type: ignore[method-assign, assignment]
    desk = begun(MemoryJournal(), max_triggers=1)
    desk.announce(command(0))
    exposures = Exposures(camera, desk, timeout_s=1.0)
    try:
        assert exposures.read(0.0).trigger_id == "t0"
        with pytest.raises(SourceTimeout):
            exposures.read(0.0)
        certain[0] = True
        with pytest.raises(SourceEnded):
            exposures.read(0.0)
    finally:
        del type(camera).is_certain


def test_pause_is_advised_above_the_limit_and_resume_at_half_of_it() -> None:
    told: list[str] = []
    held: list[bool] = []

    def advise(note: AdviceNote) -> None:
        told.append(f"{note.advice}: {note.reason.split()[0]}")

    backlog = Backlog(10, advise, held.append)
    for waiting in (9, 10, 11, 12, 10, 6, 5, 4, 10, 11):
        backlog.look(waiting)
    assert told == ["pause: 11", "resume: 5", "pause: 11"]
    assert held == [True, False, True]
