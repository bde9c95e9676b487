"""Who commands a run and who ends it: what the stream may ask of the pipeline, and what the pipeline tells the stream.

The stream's thread calls `RunControl`; no call blocks. In the other direction the only path is the journal: every record of a
run is appended by one thread, and `Journal.on_append` calls the stream back in that thread.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

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
from edge.contracts.records import CarriedResult, FieldStatus, NetSums, RunOutcome
from edge.contracts.run_order import order_fault
from edge.journal.base import Journal
from edge.pipeline.intake import AdviceNote
from edge.pipeline.ledger import Ledger
from edge.pipeline.pause import Pause
from edge.pipeline.trigger_desk import TriggerDesk

Phase = Literal["waiting", "running", "stopping", "finished"]

_ANSWERS = 1024
"""Answers remembered, so that a repeated command gets the same one."""


class StopSwitch:
    """Set by a signal handler, the stream's thread or a test; looked at by the loop.

    Plain attributes and no lock: a signal handler may interrupt the very thread that would hold the lock.
    """

    def __init__(self) -> None:
        self.requested = ""
        self.outcome = RunOutcome.STOPPED
        self.at_once = ""
        """why the run should end without finishing what it took in; empty while it may"""

    def stop(self, reason: str, outcome: RunOutcome = RunOutcome.STOPPED) -> None:
        """Ask the run to finish what it took in and to end with `outcome`. The first reason stays; it is never empty."""
        if not self.requested:
            self.outcome = outcome
            self.requested = reason

    def abort(self, reason: str) -> None:
        """Ask the run to end at once, also after `stop`: what has not ended ends as skipped."""
        self.at_once = self.at_once or reason
        self.stop(reason)


@dataclass(frozen=True, slots=True)
class ControlState:
    """A consistent view of the run at one moment.

    `run_id` is None until a run was accepted. `open_triggers` have not ended yet; `fields` counts those that have.
    `open_trigger_ids` were announced, and `trigger_until` is the credit for more; None when the source paces itself.
    `queue_fields` wait for the engine.
    """

    phase: Phase
    run_id: str | None = None
    open_triggers: int = 0
    open_trigger_ids: tuple[str, ...] = ()
    trigger_until: int | None = None
    fields: dict[FieldStatus, int] = field(default_factory=dict)
    queue_fields: int = 0
    paused: bool = False


class RunControl(Protocol):
    """Commands of the controller. Safe to call from one thread that is not the pipeline's.

    Commands are idempotent: a repeated `cmd_id` gets the answer it got the first time, whatever happened in between. They raise
    `StreamError` when the journal, which knows what happened, cannot be read.
    """

    def start(self, command: RunStartCommand) -> Accepted | Rejected:
        """Begin the named run; `run_start` follows through the journal. Rejects `duplicate_run`, `busy`, `state`,
        and an order that cannot be kept as `invalid` or `unsupported`."""
        ...

    def trigger(self, command: TriggerCommand) -> Accepted | Rejected | None:
        """Announce an exposure. None: the answer comes through `answers`, once the journal holds the trigger.

        Rejects `unsupported` when the source paces itself, `credit`, `duplicate_trigger`, `unknown_run` and `state`.
        """
        ...

    def answers(self) -> list[Accepted | Rejected]:
        """Answers to commands that have become due since the last call."""
        ...

    def trigger_until(self) -> int | None:
        """How many triggers may be announced in all; None when the source paces itself."""
        ...

    def waiting(self, run_id: str, n_records: int) -> None:
        """So many records of a run wait for their acknowledgement."""
        ...

    def stop(self, command: RunStopCommand) -> Accepted | Rejected:
        """Finish what was taken in, then end the run. Accepted also once the run has ended; rejects `unknown_run`."""
        ...

    def abort(self, command: AbortCommand) -> Accepted | Rejected:
        """End the run at once. Accepted also once the run has ended; rejects `unknown_run`."""
        ...

    def pause(self, command: PauseCommand | ContinueCommand) -> Accepted | Rejected:
        """Hold the run, or go on with it; accepted also where it is so already. Rejects `unknown_run` and `state`."""
        ...

    def state(self) -> ControlState:
        """Where the run stands; for QUERY, PONG and WELCOME."""
        ...

    def sums(self) -> tuple[NetSums | None, CarriedResult | None]:
        """Of the run so far: without replaced fields, and with the runs that it continues; for QUERY."""
        ...


class Backlog:
    """Holds the scanner back while too many records wait for their acknowledgement. Safe for two threads.

    Advises `pause` above `limit` of them, and `resume` once half are acknowledged. `hold` stops the credit for triggers; a
    source that paces itself cannot be held.
    """

    def __init__(self, limit: int, advise: Callable[[AdviceNote], None], hold: Callable[[bool], None] | None) -> None:
        self._limit = limit
        self._advise = advise
        self._hold = hold
        self._paused = False
        self._lock = threading.Lock()

    def look(self, waiting: int) -> None:
        """So many records of the run are journalled and not acknowledged."""
        with self._lock:
            if self._paused == (waiting > (self._limit // 2 if self._paused else self._limit)):
                return
            self._paused = not self._paused
            if self._hold is not None:
                self._hold(self._paused)
            if self._paused:
                reason = f"{waiting} records wait for their acknowledgement; nothing is lost, but expose no further field yet."
                self._advise(AdviceNote("pause", reason))
            else:
                self._advise(AdviceNote("resume", f"{waiting} records wait for their acknowledgement."))


_Command = TypeVar("_Command", bound=RunCommand)


@dataclass(frozen=True, slots=True)
class _Done:
    """A command that came, and its answer; None when whoever gave it gives it again."""

    command: RunCommand
    answer: Accepted | Rejected | None


class SingleRun:
    """Implements `RunControl`; the pipeline waits in `wait_for_start`, then reports with `running` and `finished`.

    Triggers go to `desk`; without one the source paces itself. Runs of former processes are known from `journal`.
    """

    def __init__(self, stop: StopSwitch, journal: Journal, desk: TriggerDesk | None = None) -> None:
        self._stop = stop
        self._journal = journal
        self._desk = desk
        self._backlog: Backlog | None = None
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._command: RunStartCommand | None = None
        self._ledger: Ledger | None = None
        self._queue_fields: Callable[[], int] = lambda: 0
        self._sums: Callable[[], tuple[NetSums | None, CarriedResult | None]] = lambda: (None, None)
        self._finished = False
        self._commands: OrderedDict[str, _Done] = OrderedDict()
        self.hold = Pause()

    def start(self, command: RunStartCommand) -> Accepted | Rejected:
        return self._once(command, self._start)

    def _start(self, command: RunStartCommand) -> Accepted | Rejected:
        taken = self._command
        if taken == command:
            return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())  # so long ago that it is not remembered
        if self._began(command):  # by a former process, which has not lived to answer
            return Accepted(cmd_id=command.cmd_id, trigger_until=self._former_until(command.run_id))
        if (refusal := self._no_start(command, taken)) is not None:
            return refusal
        if self._desk:
            self._desk.limit(command.max_fields)
        self._command = command
        self._started.set()
        return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())

    def _no_start(self, command: RunStartCommand, taken: RunStartCommand | None) -> Rejected | None:
        if command.run_id in self._journal.runs() or (taken is not None and taken.run_id == command.run_id):
            return _reject(command.cmd_id, "duplicate_run", f"run {command.run_id} was already started; give a new run_id.")
        if self._finished or self._stop.requested:
            return _reject(command.cmd_id, "state", "this edge performs one run and is ending; start it again for another.")
        if taken is not None:
            return _reject(command.cmd_id, "busy", f"run {taken.run_id} is in progress; wait for its run_stop.")
        if command.max_fields == 0:
            return _reject(
                command.cmd_id, "invalid", "`max_fields` is 0 and a run has fields; give 1 or more, or leave it out."
            )
        if command.order is not None and (fault := order_fault(command.order)) is not None:
            return _reject(command.cmd_id, fault.code, fault.reason)
        return None

    def _began(self, command: RunStartCommand) -> bool:
        first = self._journal.read(command.run_id, 0, 1) if command.run_id in self._journal.runs() else []
        return bool(first) and json.loads(first[0][1]).get("cmd_id") == command.cmd_id

    def _former_until(self, run_id: str) -> int | None:
        """Of a run that has ended: as many triggers as were announced, and no more; None when its source paced itself."""
        n_announced = self._journal.n_announced(run_id)
        return n_announced if n_announced or self._desk else None

    def trigger(self, command: TriggerCommand) -> Accepted | Rejected | None:
        with self._lock:
            if (known := self._known(command)) is not None:
                return known
            answer = self._announce(command)
            # What the desk has accepted it knows itself, with the credit of the moment; here only whose name `cmd_id` is.
            self._remember(command, answer if isinstance(answer, Rejected) else None)
            return answer

    def _announce(self, command: TriggerCommand) -> Accepted | Rejected | None:
        current = self._command is not None and self._command.run_id == command.run_id
        if not current:
            before = self._journal.announced(command.run_id, command.trigger_id)
            if before is not None and before.cmd_id == command.cmd_id:
                # By a former process; its field is on record.
                return Accepted(cmd_id=command.cmd_id, trigger_until=self._former_until(command.run_id))
            if command.run_id in self._journal.runs():
                return _reject(command.cmd_id, "state", f"run {command.run_id} has ended; start a new one.")
            return _unknown(command.cmd_id, command.run_id)
        if self._desk is None:
            return _reject(command.cmd_id, "unsupported", "this source paces itself; its fields come without TRIGGER.")
        return self._desk.announce(command)

    def answers(self) -> list[Accepted | Rejected]:
        return self._desk.answers() if self._desk else []

    def trigger_until(self) -> int | None:
        return self._desk.trigger_until if self._desk else None

    def waiting(self, run_id: str, n_records: int) -> None:
        backlog, command = self._backlog, self._command
        if backlog and command and command.run_id == run_id:
            backlog.look(n_records)

    def stop(self, command: RunStopCommand) -> Accepted | Rejected:
        return self._once(command, self._end)

    def abort(self, command: AbortCommand) -> Accepted | Rejected:
        return self._once(command, self._end)

    def _end(self, command: RunStopCommand | AbortCommand) -> Accepted | Rejected:
        if self._command is None or self._command.run_id != command.run_id:
            if command.run_id in self._journal.runs():
                return Accepted(cmd_id=command.cmd_id)  # a former process's, ended already
            return _unknown(command.cmd_id, command.run_id)
        if isinstance(command, AbortCommand):
            self._stop.abort("the controller aborted it")
        else:
            self._stop.stop("the controller asked for it")
        self.hold.end("the run ends")
        return Accepted(cmd_id=command.cmd_id)

    def pause(self, command: PauseCommand | ContinueCommand) -> Accepted | Rejected:
        return self._once(command, self._hold)

    def _hold(self, command: PauseCommand | ContinueCommand) -> Accepted | Rejected:
        if self._command is None or self._command.run_id != command.run_id:
            if command.run_id in self._journal.runs():
                return _reject(command.cmd_id, "state", f"run {command.run_id} has ended; start a new one.")
            return _unknown(command.cmd_id, command.run_id)
        if self._finished or self._stop.requested:
            return _reject(command.cmd_id, "state", f"run {command.run_id} is ending; read on to its run_stop.")
        pauses = isinstance(command, PauseCommand)
        if pauses:
            self.hold.begin()
        else:
            self.hold.end()
        if self._desk:
            self._desk.hold(pauses, "pause")
        return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until())

    def sums(self) -> tuple[NetSums | None, CarriedResult | None]:
        return self._sums()

    def state(self) -> ControlState:
        with self._lock:
            run_id = self._command.run_id if self._command else None
            left = self._ledger.left() if self._ledger else []
            ended = self._ledger.ended() if self._ledger else {}
            announced = tuple(trigger_id for trigger_id, _, _ in left) if self._desk else ()
            return ControlState(
                self._phase(), run_id, len(left), announced, self.trigger_until(), ended, self._queue_fields(), self.hold.held
            )

    def _phase(self) -> Phase:
        if self._finished:
            return "finished"
        if self._stop.requested:
            return "stopping"
        return "running" if self._command else "waiting"

    def wait_for_start(self, timeout_s: float) -> RunStartCommand | None:
        """The controller's command, or None when it has not come yet."""
        self._started.wait(timeout_s)
        with self._lock:
            return self._command

    def running(
        self,
        ledger: Ledger,
        backlog: Backlog | None = None,
        queue_fields: Callable[[], int] = lambda: 0,
        sums: Callable[[], tuple[NetSums | None, CarriedResult | None]] = lambda: (None, None),
    ) -> None:
        """The run has begun; `ledger` answers for its triggers from now on, `backlog` is told what the controller leaves,
        `queue_fields` says how many fields wait for the engine, and `sums` what `RunControl.sums` does."""
        with self._lock:
            self._ledger = ledger
            self._backlog = backlog
            self._queue_fields = queue_fields
            self._sums = sums

    def finished(self) -> None:
        """The run's `run_stop` is in the journal."""
        with self._lock:
            self._finished = True

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


def _unknown(cmd_id: str, run_id: str) -> Rejected:
    return Rejected(cmd_id=cmd_id, code="unknown_run", reason=f"this edge holds no run {run_id!r}; send RUN_START first.")
