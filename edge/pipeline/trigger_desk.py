"""Announced triggers of one run: from the controller's TRIGGER into the journal, then to the camera."""

import threading
import time
from collections import deque

from edge.camera.frame import Trigger
from edge.contracts.errors import JournalError
from edge.contracts.messages import Accepted, Rejected, TriggerCommand
from edge.journal.base import Journal
from edge.pipeline.ledger import Ledger

_POLL_S = 0.05


class TriggerDesk:
    """Takes TRIGGERs in while there is credit: so many triggers may be open at a time as `window` says.

    The stream's thread announces and takes the answers, the journal's confirms, the grabber takes the triggers out. A trigger
    enters the ledger when the journal holds it, so the ledger's order is that of the announcements.
    """

    def __init__(self, journal: Journal, window: int, max_triggers: int | None = None) -> None:
        self.ledger = Ledger()
        self._journal = journal
        self._window = window
        self._max_triggers = max_triggers
        self._changed = threading.Condition()
        self._begun = False
        self._closed = ""
        self._early: list[TriggerCommand] = []
        self._pending: set[str] = set()
        self._announced = 0
        self._last_index = -1
        self._due: deque[Trigger] = deque()
        self._answers: deque[Accepted | Rejected] = deque()
        self._held_until: int | None = None
        self._holders: set[str] = set()

    @property
    def trigger_until(self) -> int:
        """Absolute credit: as many triggers may be announced from the beginning of the run."""
        with self._changed:
            return self._until()

    @property
    def complete(self) -> bool:
        """Whether every trigger that the run may have was announced and handed out."""
        with self._changed:
            return self._max_triggers is not None and self.ledger.issued >= self._max_triggers and not self._due

    def limit(self, max_triggers: int | None) -> None:
        """The controller asks for so many fields at most."""
        with self._changed:
            given = [limit for limit in (self._max_triggers, max_triggers) if limit is not None]
            self._max_triggers = min(given, default=None)

    def announce(self, command: TriggerCommand) -> Accepted | Rejected | None:
        """The answer, or None when it will come through `answers`: once the journal holds the trigger.

        Raises `StreamError` when the journal cannot be read.
        """
        with self._changed:
            if command.trigger_id in self._pending:
                return None  # sent again while its answer is on the way
        if (known := self._known(command)) is not None:
            return known
        with self._changed:
            if (refusal := self._refusal(command)) is not None:
                return refusal
            self._pending.add(command.trigger_id)
            self._announced += 1
            self._last_index = command.field_index
            if not self._begun:
                self._early.append(command)
                return None
        return self._enter(command)

    @property
    def closed(self) -> str:
        """Why no trigger is taken any more; empty while they are."""
        with self._changed:
            return self._closed

    def answers(self) -> list[Accepted | Rejected]:
        """Answers that have become due since the last call."""
        with self._changed:
            due, self._answers = list(self._answers), deque()
            return due

    def begin(self) -> None:
        """`run_start` is in the journal: triggers may follow it there."""
        with self._changed:
            self._begun = True
            early, self._early = self._early, []
        for command in early:
            if (refused := self._enter(command)) is not None:
                with self._changed:
                    self._answers.append(refused)

    def hold(self, held: bool, who: str = "controller") -> None:
        """Give no further credit while anybody holds; what was given stays given."""
        with self._changed:
            until = self._until()
            (self._holders.add if held else self._holders.discard)(who)
            self._held_until = until if self._holders else None

    def next(self, timeout_s: float) -> Trigger | None:
        """The next trigger to expose, None when none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._due), timeout_s)
            return self._due.popleft() if self._due else None

    def finish(self, reason: str) -> bool:
        """Take nothing more in; whether every trigger that was accepted has ended."""
        with self._changed:
            self._closed = self._closed or reason
            return not self._pending and self.ledger.open == 0

    def close(self, reason: str) -> list[Trigger]:
        """Take nothing more in; returns the triggers that were never handed out, those on their way to the journal included."""
        with self._changed:
            self._closed = self._closed or reason
            for command in self._early:
                refusal = Rejected(cmd_id=command.cmd_id, code="state", reason=f"the run takes no more triggers: {reason}.")
                self._answers.append(refusal)
                self._pending.discard(command.trigger_id)
            self._early = []
            while self._pending and not self._journal.trouble:
                self._changed.wait(_POLL_S)
            left, self._due = list(self._due), deque()
            return left

    def _until(self) -> int:
        if self._held_until is not None:
            return self._held_until
        until = self.ledger.issued - self.ledger.open + self._window
        return until if self._max_triggers is None else min(until, self._max_triggers)

    def _known(self, command: TriggerCommand) -> Accepted | Rejected | None:
        before = self._journal.announced(command.run_id, command.trigger_id)
        if before is None:
            return None
        if before.cmd_id == command.cmd_id:
            return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until)
        return Rejected(
            cmd_id=command.cmd_id,
            code="duplicate_trigger",
            reason=f"trigger {command.trigger_id!r} was announced before, by command {before.cmd_id!r}; give each a new name.",
        )

    def _refusal(self, command: TriggerCommand) -> Rejected | None:
        if self._closed:
            return Rejected(cmd_id=command.cmd_id, code="state", reason=f"the run takes no more triggers: {self._closed}.")
        if self._journal.trouble:
            return Rejected(cmd_id=command.cmd_id, code="state", reason=self._journal.trouble)
        if command.field_index <= self._last_index:
            reason = f"field {command.field_index} came after field {self._last_index}; indices rise from trigger to trigger."
            return Rejected(cmd_id=command.cmd_id, code="state", reason=reason)
        if self._announced >= self._until():
            reason = f"{self._announced} triggers were announced and {self._until()} are allowed so far; wait for CREDIT."
            return Rejected(cmd_id=command.cmd_id, code="credit", reason=reason)
        return None

    def _enter(self, command: TriggerCommand) -> Rejected | None:
        try:
            self._journal.announce(command, lambda: self._confirmed(command))
        except Exception as problem:
            with self._changed:  # whatever it was: `close` waits for what is pending
                self._pending.discard(command.trigger_id)
                self._announced -= 1
            if not isinstance(problem, JournalError):
                raise
            return Rejected(cmd_id=command.cmd_id, code="state", reason=str(problem))
        return None

    def _confirmed(self, command: TriggerCommand) -> None:
        stage = command.stage
        trigger = Trigger(
            command.trigger_id, command.field_index, (stage.x_nm, stage.y_nm) if stage else None, time.monotonic_ns()
        )
        with self._changed:
            self.ledger.issue(trigger.trigger_id, trigger.field_index)
            self._pending.discard(trigger.trigger_id)
            self._due.append(trigger)
            self._answers.append(Accepted(cmd_id=command.cmd_id, trigger_until=self._until()))
            self._changed.notify_all()
