"""The controller's commands to the process: which run begins, what becomes of it, and what a repeated command is answered."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from edge.contracts.messages import (
    AbortCommand,
    Accepted,
    ContinueCommand,
    PauseCommand,
    Rejected,
    RejectedCode,
    RunCommand,
    RunStartCommand,
    RunStopCommand,
    TriggerCommand,
)
from edge.contracts.records import CarriedResult, NetSums
from edge.contracts.run_order import OrderFault, order_fault
from edge.journal.base import Journal
from edge.pipeline.ledger import Ledger
from edge.pipeline.named_optics import unknown_profile
from edge.pipeline.pause import Pause
from edge.pipeline.run_control import READY, Backlog, ControlState, Phase, Standing, StopSwitch
from edge.pipeline.trigger_desk import TriggerDesk

_ANSWERS = 1024
"""Answers remembered, so that a repeated command gets the same one."""

_Command = TypeVar("_Command", bound=RunCommand)


@dataclass(frozen=True, slots=True)
class _Done:
    """A command that came, and its answer; None when whoever gave it gives it again."""

    command: RunCommand
    answer: Accepted | Rejected | None


@dataclass(slots=True)
class AcceptedRun:
    """A run that was accepted, and what is its own alone. Triggers go to `desk`; without one the source paces itself."""

    order: RunStartCommand
    stop: StopSwitch
    desk: TriggerDesk | None
    hold: Pause = field(default_factory=Pause)
    backlog: Backlog | None = None
    ledger: Ledger | None = None
    queue_fields: Callable[[], int] = lambda: 0
    sums: Callable[[], tuple[NetSums | None, CarriedResult | None]] = lambda: (None, None)
    finished: bool = False

    @property
    def run_id(self) -> str:
        return self.order.run_id


class RunOrders:
    """Implements `RunControl`; the pipeline waits in `wait_for_start`, then reports with `running` and `finished`.

    Each run gets a trigger desk of its own from `new_desk`. Runs of former processes are known from `journal`. With `one_run`
    there is no other run after the first. While `stands` says that the process is not ready, no run begins. `profile_fault`
    says why a run cannot have the profile that it names.
    """

    def __init__(
        self,
        stop: StopSwitch,
        journal: Journal,
        new_desk: Callable[[], TriggerDesk | None] = lambda: None,
        profile_fault: Callable[[str], OrderFault | None] = lambda name: unknown_profile(name, ()),
        *,
        one_run: bool = False,
        standing: Standing = READY,
    ) -> None:
        self._stop = stop
        self._journal = journal
        self._new_desk, self._profile_fault = new_desk, profile_fault
        self._one_run = one_run
        self._standing = standing
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._current: AcceptedRun | None = None
        """the newest run that was accepted, also once it has ended"""
        self._own_run_ids: list[str] = []
        self._commands: OrderedDict[str, _Done] = OrderedDict()

    @property
    def standing(self) -> Standing:
        """Where the process stands between runs."""
        return self._standing

    def stands(self, standing: Standing) -> None:
        """Where the process stands from now on. A run that was accepted before will be performed all the same."""
        with self._lock:
            self._standing = standing

    def start(self, command: RunStartCommand) -> Accepted | Rejected:
        with self._lock:
            self._forget_unrecorded()
        return self._once(command, self._start)

    def _forget_unrecorded(self) -> None:
        """A run that was accepted and broken off before anything of it was on record may be ordered again, as it was."""
        run = self._current
        if run is None or not run.finished or self._one_run or self._journal.absent:
            return
        if not self._journal.holds(run.run_id):
            self._commands.pop(run.order.cmd_id, None)
            self._current = None

    def _start(self, command: RunStartCommand) -> Accepted | Rejected:
        current = self._current
        if current is not None and current.order == command:
            return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())  # so long ago that it is not remembered
        if self._began(command):  # as a former run, maybe of a process that has not lived to answer
            return Accepted(cmd_id=command.cmd_id, trigger_until=self._former_until(command.run_id))
        if (refusal := self._no_start(command, current)) is not None:
            return refusal
        desk = self._new_desk()
        if desk is not None:
            desk.limit(command.max_fields)
        self._current = AcceptedRun(command, StopSwitch(self._stop), desk)
        self._own_run_ids = [*(each for each in self._own_run_ids if not self._is_whole(each)), command.run_id]
        self._started.set()
        return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())

    def _no_start(self, command: RunStartCommand, current: AcceptedRun | None) -> Rejected | None:
        code: RejectedCode = "state"
        if self._journal.absent:  # it may hold this very run
            reason = f"no run can begin ({self._standing.state}): {self._journal.absent}"
        elif command.run_id in self._journal.runs() or (current is not None and current.run_id == command.run_id):
            code, reason = "duplicate_run", f"run {command.run_id} was already started; give a new run_id."
        elif self._stop.requested:
            reason = "this edge is ending; start it again for another run."
        elif current is not None and self._one_run and (current.stop.requested or self._has_ended(current)):
            reason = "this edge performs one run and is ending; start it again for another."
        elif current is not None and not self._has_ended(current):
            code, reason = "busy", f"run {current.run_id} is in progress; wait for its run_stop."
        elif self._standing.state != "READY":
            reason = f"no run can begin ({self._standing.state}): {self._standing.reason}"
        elif command.max_fields == 0:
            code, reason = "invalid", "`max_fields` is 0 and a run has fields; give 1 or more, or leave it out."
        elif (fault := self._order_fault(command)) is not None:
            code, reason = fault.code, fault.reason
        else:
            return None
        return _reject(command.cmd_id, code, reason)

    def _order_fault(self, command: RunStartCommand) -> OrderFault | None:
        fault = order_fault(command.order) if command.order is not None else None
        return fault or (self._profile_fault(command.profile) if command.profile is not None else None)

    def _has_ended(self, run: AcceptedRun) -> bool:
        """The controller may have its `run_stop` before the loop has looked up."""
        return run.finished or self._journal.finished(run.run_id)

    def _is_whole(self, run_id: str) -> bool:
        return self._journal.finished(run_id) and self._journal.acknowledged(run_id) == self._journal.next_seq(run_id) - 1

    def _began(self, command: RunStartCommand) -> bool:
        first = self._journal.read(command.run_id, 0, 1) if command.run_id in self._journal.runs() else []
        return bool(first) and json.loads(first[0][1]).get("cmd_id") == command.cmd_id

    def _former_until(self, run_id: str) -> int | None:
        """Of a run that has ended: as many triggers as were announced, and no more; None when its source paced itself."""
        n_announced = self._journal.n_announced(run_id)
        return n_announced if n_announced or self._new_desk() else None

    def trigger(self, command: TriggerCommand) -> Accepted | Rejected | None:
        with self._lock:
            if (known := self._known(command)) is not None:
                return known
            answer = self._announce(command)
            # What the desk has accepted it knows itself, with the credit of the moment; here only whose name `cmd_id` is.
            self._remember(command, answer if isinstance(answer, Rejected) else None)
            return answer

    def _announce(self, command: TriggerCommand) -> Accepted | Rejected | None:
        run = self._named(command.run_id)
        if run is None:
            before = self._journal.announced(command.run_id, command.trigger_id)
            if before is not None and before.cmd_id == command.cmd_id:
                # In a run before; its field is on record.
                return Accepted(cmd_id=command.cmd_id, trigger_until=self._former_until(command.run_id))
            return self._not_now(command)
        if run.desk is None:
            return _reject(command.cmd_id, "unsupported", "this source paces itself; its fields come without TRIGGER.")
        return run.desk.announce(command)

    def _named(self, run_id: str) -> AcceptedRun | None:
        """The newest run, if it is this one."""
        return self._current if self._current is not None and self._current.run_id == run_id else None

    def _not_now(self, command: RunCommand) -> Rejected:
        """The answer to a command for a run that is not the newest."""
        if self._journal.absent:
            return _reject(command.cmd_id, "state", self._journal.absent)
        if command.run_id in self._journal.runs():
            return _reject(command.cmd_id, "state", f"run {command.run_id} has ended; start a new one.")
        reason = f"this edge holds no run {command.run_id!r}; send RUN_START first."
        return _reject(command.cmd_id, "unknown_run", reason)

    def answers(self) -> list[Accepted | Rejected]:
        current = self._current
        return current.desk.answers() if current is not None and current.desk is not None else []

    def trigger_until(self) -> int | None:
        current = self._current
        return current.desk.trigger_until if current is not None and current.desk is not None else None

    def waiting(self, run_id: str, n_records: int) -> None:
        run = self._named(run_id)
        if run is not None and run.backlog is not None:
            run.backlog.look(n_records)

    def stop(self, command: RunStopCommand) -> Accepted | Rejected:
        return self._once(command, self._end)

    def abort(self, command: AbortCommand) -> Accepted | Rejected:
        return self._once(command, self._end)

    def _end(self, command: RunStopCommand | AbortCommand) -> Accepted | Rejected:
        run = self._named(command.run_id)
        if run is None:
            # One that has ended already is accepted, too.
            return Accepted(cmd_id=command.cmd_id) if command.run_id in self._journal.runs() else self._not_now(command)
        if isinstance(command, AbortCommand):
            run.stop.abort("the controller aborted it")
        else:
            run.stop.stop("the controller asked for it")
        run.hold.end("the run ends")
        return Accepted(cmd_id=command.cmd_id)

    def pause(self, command: PauseCommand | ContinueCommand) -> Accepted | Rejected:
        return self._once(command, self._hold)

    def _hold(self, command: PauseCommand | ContinueCommand) -> Accepted | Rejected:
        run = self._named(command.run_id)
        if run is None:
            return self._not_now(command)
        if run.finished or run.stop.requested:
            return _reject(command.cmd_id, "state", f"run {command.run_id} is ending; read on to its run_stop.")
        pauses = isinstance(command, PauseCommand)
        if pauses:
            run.hold.begin()
        else:
            run.hold.end()
        if run.desk:
            run.desk.hold(pauses, "pause")
        return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())

    def sums(self) -> tuple[NetSums | None, CarriedResult | None]:
        return self._current.sums() if self._current else (None, None)

    def own_runs(self) -> list[str]:
        return self._own_run_ids

    def state(self) -> ControlState:
        with self._lock:
            run, phase = self._current, self._phase()
            if run is None:
                return ControlState(phase, service=self._standing)
            left = run.ledger.left() if run.ledger else []
            return ControlState(
                phase,
                run.run_id,
                len(left),
                tuple(trigger_id for trigger_id, _, _ in left) if run.desk else (),
                self.trigger_until(),
                run.ledger.ended() if run.ledger else {},
                run.queue_fields(),
                run.hold.held,
                self._standing_with(run, phase),
            )

    def _phase(self) -> Phase:
        if self._current is None:
            return "stopping" if self._stop.requested else "waiting"
        if self._current.finished:
            return "finished"
        return "stopping" if self._current.stop.requested else "running"

    def _standing_with(self, run: AcceptedRun, phase: Phase) -> Standing:
        """A run in progress is what is to be said of the process, whatever holds beside it."""
        if phase == "running":
            return Standing("RUNNING", f"run {run.run_id} is in progress.")
        if phase == "stopping":
            return Standing("DRAINING", f"run {run.run_id} ends: {run.stop.requested}.")
        return self._standing

    def wait_for_start(self, timeout_s: float) -> AcceptedRun | None:
        """A run that was accepted and has not begun, or None when none has come in time."""
        if not self._started.wait(timeout_s):
            return None
        with self._lock:
            self._started.clear()
            return self._current

    def running(
        self,
        run: AcceptedRun,
        ledger: Ledger,
        backlog: Backlog | None = None,
        queue_fields: Callable[[], int] = lambda: 0,
        sums: Callable[[], tuple[NetSums | None, CarriedResult | None]] = lambda: (None, None),
    ) -> None:
        """The run has begun; `ledger` answers for its triggers from now on, `backlog` is told what the controller leaves,
        `queue_fields` says how many fields wait for the engine, and `sums` what `RunControl.sums` does."""
        with self._lock:
            run.ledger, run.backlog, run.queue_fields, run.sums = ledger, backlog, queue_fields, sums

    def finished(self, run: AcceptedRun) -> None:
        """The run's `run_stop` is in the journal."""
        with self._lock:
            run.finished = True

    def _once(self, command: _Command, act: Callable[[_Command], Accepted | Rejected]) -> Accepted | Rejected:
        """Do a command; a repeated one gets its answer again and does nothing."""
        with self._lock:
            if (known := self._known(command)) is not None:
                return known
            answer = act(command)
            self._remember(command, answer)
            return answer

    def _known(self, command: RunCommand) -> Accepted | Rejected | None:
        """The answer to a command that is repeated; a refusal when another one has its `cmd_id`; None when it is to be done."""
        before = self._commands.get(command.cmd_id)
        if before is None or before.command == command:
            return before.answer if before is not None else None
        return _reject(
            command.cmd_id,
            "duplicate_command",
            f"`cmd_id` {command.cmd_id!r} is that of another {before.command.type}; give every command its own, and repeat "
            "one only as it was.",
        )

    def _remember(self, command: RunCommand, answer: Accepted | Rejected | None) -> None:
        self._commands[command.cmd_id] = _Done(command, answer)
        if len(self._commands) > _ANSWERS:
            self._commands.popitem(last=False)


def _reject(cmd_id: str, code: RejectedCode, reason: str) -> Rejected:
    return Rejected(cmd_id=cmd_id, code=code, reason=reason)
