"""Who commands a run and who ends it: what the stream may ask of the pipeline, and what the pipeline tells the stream.

The stream's thread calls `RunControl`; no call blocks. In the other direction the only path is the journal: every record of a
run is appended by one thread, and `Journal.on_append` calls the stream back in that thread.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge.contracts.messages import (
    AbortCommand,
    Accepted,
    ContinueCommand,
    PauseCommand,
    Rejected,
    RunStartCommand,
    RunStopCommand,
    TriggerCommand,
)
from edge.contracts.records import CarriedResult, FieldStatus, NetSums, RunOutcome
from edge.pipeline.intake import AdviceNote

Phase = Literal["waiting", "running", "stopping", "finished"]
ServiceState = Literal["BOOT", "READY", "RUNNING", "DRAINING", "FAULT"]
"""Of the process: it opens what a run needs; it takes a run; one is in progress; nothing new is taken in and what is there is
finished; something is wrong and is looked after."""


class StopSwitch:
    """Set by a signal handler, the stream's thread or a test; looked at by the loop. That of a run is also set by the `outer`
    one, which is that of the process.

    Plain attributes and no lock: a signal handler may interrupt the very thread that would hold the lock.
    """

    def __init__(self, outer: "StopSwitch | None" = None) -> None:
        self._outer = outer
        self._requested = ""
        self._outcome = RunOutcome.STOPPED
        self._at_once = ""

    @property
    def requested(self) -> str:
        """Why the run should end; empty while it need not."""
        return self._requested or (self._outer.requested if self._outer else "")

    @property
    def outcome(self) -> RunOutcome:
        """How a run ends that ends because of this."""
        return self._outer.outcome if self._outer and not self._requested else self._outcome

    @property
    def at_once(self) -> str:
        """Why the run should end without finishing what it took in; empty while it may."""
        return self._at_once or (self._outer.at_once if self._outer else "")

    def stop(self, reason: str, outcome: RunOutcome = RunOutcome.STOPPED) -> None:
        """Ask the run to finish what it took in and to end with `outcome`. The first reason stays; it is never empty."""
        if not self.requested:
            self._outcome = outcome
            self._requested = reason

    def abort(self, reason: str) -> None:
        """Ask the run to end at once, also after `stop`: what has not ended ends as skipped."""
        self._at_once = self._at_once or reason
        self.stop(reason)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the process stands; `reason` says what is wrong and what to do, and is empty where nothing is to be said."""

    state: ServiceState = "READY"
    reason: str = ""


READY = Standing()


@dataclass(frozen=True, slots=True)
class ControlState:
    """A consistent view of the run at one moment.

    All but `service` is the newest run's; `run_id` is None until one was accepted. `open_triggers` have not ended yet;
    `fields` counts those that have.
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
    service: Standing = READY


class RunControl(Protocol):
    """Commands of the controller. Safe to call from one thread that is not the pipeline's.

    Commands are idempotent: a repeated `cmd_id` gets the answer it got the first time, whatever happened in between. They raise
    `StreamError` when the journal, which knows what happened, cannot be read.
    """

    def start(self, command: RunStartCommand) -> Accepted | Rejected:
        """Begin the named run; `run_start` follows through the journal. Rejects `duplicate_run`, `busy`, `state`,
        and an order that cannot be kept, or a profile that there is not, as `invalid` or `unsupported`.

        The next one may follow as soon as the journal has the former one's `run_stop`.
        """
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
        """Where process and newest run stand; for QUERY, PONG and WELCOME."""
        ...

    def own_runs(self) -> list[str]:
        """Runs of this process, oldest first; those that a controller holds whole may be left out."""
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
