"""The controller's commands to a process: to one that performs one run, and to a service."""

import pytest

from edge.contracts.messages import RunStartCommand, RunStopCommand, TriggerCommand
from edge.contracts.records import FieldStatus
from edge.journal.memory_journal import MemoryJournal
from edge.pipeline.ledger import Ledger
from edge.pipeline.run_control import StopSwitch
from edge.pipeline.run_orders import RunOrders

pytestmark = pytest.mark.timeout(10)


def start(cmd_id: str, run_id: str = "r") -> RunStartCommand:
    return RunStartCommand(cmd_id=cmd_id, run_id=run_id)


def stop(cmd_id: str, run_id: str = "r") -> RunStopCommand:
    return RunStopCommand(cmd_id=cmd_id, run_id=run_id)


def test_the_first_start_is_taken_and_a_repetition_gets_the_same_answer() -> None:
    control = RunOrders(StopSwitch(), MemoryJournal())
    assert control.wait_for_start(0) is None
    answer = control.start(start("c1"))
    assert answer.type == "ACCEPTED"
    assert control.start(start("c1")) == answer
    accepted = control.wait_for_start(0)
    assert accepted is not None and accepted.order == start("c1")
    assert control.wait_for_start(0) is None, "a run is performed once"


@pytest.mark.parametrize(
    ("command", "before", "code"),
    [
        pytest.param(start("c2", "r"), [], "duplicate_run", id="the same run under a new command"),
        pytest.param(start("c2", "s"), [], "busy", id="another run while one is in progress"),
        pytest.param(start("c2", "s"), ["finished"], "state", id="another run after the only one"),
        pytest.param(start("c2", "s"), ["stop"], "state", id="another run while the first is ending"),
        pytest.param(stop("c2", "s"), [], "unknown_run", id="stopping a run that is not here"),
    ],
)
def test_refusals_have_their_code_and_a_reason(command: RunStartCommand | RunStopCommand, before: list[str], code: str) -> None:
    switch = StopSwitch()
    control = RunOrders(switch, MemoryJournal(), one_run=True)
    control.start(start("c1"))
    accepted = control.wait_for_start(0)
    assert accepted is not None
    if "finished" in before:
        control.finished(accepted)
    if "stop" in before:
        switch.stop("asked")
    answer = control.start(command) if isinstance(command, RunStartCommand) else control.stop(command)
    assert answer.type == "REJECTED"
    assert answer.code == code
    assert answer.reason.endswith(".")
    assert switch.requested == ("asked" if "stop" in before else "")


def test_stop_reaches_the_loop_and_is_accepted_after_the_end() -> None:
    switch = StopSwitch()
    control = RunOrders(switch, MemoryJournal())
    control.start(start("c1"))
    assert control.stop(stop("c2")).type == "ACCEPTED"
    accepted = control.wait_for_start(0)
    assert accepted is not None and accepted.stop.requested
    assert not switch.requested, "the process may perform another run"
    control.finished(accepted)
    assert control.stop(stop("c3")).type == "ACCEPTED"


@pytest.mark.parametrize(
    ("run_id", "code"),
    [pytest.param("r", "unsupported", id="the source paces itself"), pytest.param("s", "unknown_run", id="no such run")],
)
def test_triggers_are_refused(run_id: str, code: str) -> None:
    control = RunOrders(StopSwitch(), MemoryJournal())
    control.start(start("c1"))
    answer = control.trigger(TriggerCommand(cmd_id="c2", run_id=run_id, trigger_id="t", field_index=0))
    assert answer.type == "REJECTED"
    assert answer.code == code


def test_state_follows_the_run() -> None:
    switch, ledger = StopSwitch(), Ledger()
    control = RunOrders(switch, MemoryJournal())
    assert (control.state().phase, control.state().run_id) == ("waiting", None)
    control.start(start("c1"))
    accepted = control.wait_for_start(0)
    assert accepted is not None
    control.running(accepted, ledger)
    ledger.issue("a", 0)
    ledger.issue("b", 1)
    ledger.close("a", FieldStatus.OK)
    state = control.state()
    assert (state.phase, state.run_id, state.open_triggers, state.fields) == ("running", "r", 1, {FieldStatus.OK: 1})
    switch.stop("asked")
    assert control.state().phase == "stopping"
    control.finished(accepted)
    assert control.state().phase == "finished"
