"""Announced triggers of one run: from the controller's TRIGGER into the journal, then to the camera."""

import logging
import threading
import time
from collections import deque

from edge.camera.frame import Trigger
from edge.contracts.errors import JournalError
from edge.contracts.messages import Accepted, Rejected, RejectedCode, TriggerCommand
from edge.counting.places import Places, Unreplaceable
from edge.journal.base import Journal
from edge.pipeline.ledger import Ledger, LedgerRefusal

_POLL_S = 0.05
_log = logging.getLogger(__name__)


class TriggerDesk:
    """Takes TRIGGERs in while there is credit: so many triggers may be open at a time as `window` says.

    The stream's thread announces and takes the answers, the journal's confirms, the grabber takes the triggers out. A trigger
    enters the ledger when the journal holds it, so the ledger's order is that of the announcements: the journal is given one
    trigger after the other, and confirms in that order. Early ones are handed in by the grabber, so nobody else hands one in
    until the last of these is with the journal.
    """

    def __init__(self, journal: Journal, window: int, max_triggers: int | None = None) -> None:
        self.ledger = Ledger()
        self.places = Places()
        self.defect = ""
        """what went wrong with an accepted trigger that never may; empty as long as all is well"""
        self._journal = journal
        self._window = window
        self._max_triggers = max_triggers
        self._changed = threading.Condition()
        self._begun = False
        self._closed = ""
        self._early: list[TriggerCommand] = []
        self._pending: dict[str, TriggerCommand] = {}
        """triggers on their way to the journal, as they were announced; their indices rise"""
        self._run_id = ""
        self._announced = 0
        self._accepted_index = -1
        """of the newest trigger that the journal holds: one that it refused leaves its index free"""
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
            pending = self._pending.get(command.trigger_id)
            if pending is not None:  # the same is sent again while its answer is on the way
                return None if pending.cmd_id == command.cmd_id else _duplicate(command, pending.cmd_id)
        if (known := self._known(command)) is not None:
            return known
        with self._changed:
            if (refusal := self._refusal(command)) is not None:
                return refusal
            self._run_id = command.run_id
            self._pending[command.trigger_id] = command
            self._announced += 1
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
        """`run_start` is in the journal: triggers may follow it there.

        What is announced while the early triggers are handed in joins them: entered by its own thread it would overtake them.
        """
        while True:
            with self._changed:
                if not self._early:
                    self._begun = True
                    return
                command = self._early.pop(0)
            if (refused := self._enter(command)) is not None:
                with self._changed:
                    self._answers.append(refused)

    def unrecorded(self) -> list[str]:
        """Ids of triggers that were accepted and have no field on record, as the journal knows it; and what else is wrong."""
        if not self._run_id:
            return []
        left = [trigger.trigger_id for trigger in self._journal.open_triggers(self._run_id)]
        return left or ([self.defect] if self.defect else [])

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
                self._pending.pop(command.trigger_id, None)
                self.places.withdraw(command.trigger_id)
            self._early = []
            while (
                self._pending and not self._journal.failure
            ):  # a journal in trouble still confirms; one that failed never will
                self._changed.wait(_POLL_S)
            for command in self._pending.values():  # the journal has failed before it had them
                refusal = Rejected(cmd_id=command.cmd_id, code="state", reason=self._journal.failure)
                self._answers.append(refusal)
            self._pending.clear()
            left, self._due = list(self._due), deque()
            return left

    def _until(self) -> int:
        if self._held_until is not None:
            return self._held_until
        until = self.ledger.issued - self.ledger.open + self._window
        return until if self._max_triggers is None else min(until, self._max_triggers)

    def _last_index(self) -> int:
        newest = next(reversed(self._pending.values()), None)
        return self._accepted_index if newest is None else newest.field_index

    def _known(self, command: TriggerCommand) -> Accepted | Rejected | None:
        before = self._journal.announced(command.run_id, command.trigger_id)
        if before is None:
            return None
        if before.cmd_id == command.cmd_id:
            return Accepted(cmd_id=command.cmd_id, trigger_until=self.trigger_until)
        return _duplicate(command, before.cmd_id)

    def _refusal(self, command: TriggerCommand) -> Rejected | None:
        code: RejectedCode = "state"
        if self._closed:
            reason = f"the run takes no more triggers: {self._closed}."
        elif self._journal.trouble:
            reason = self._journal.trouble
        elif command.field_index <= (last := self._last_index()):
            reason = f"field {command.field_index} came after field {last}; indices rise from trigger to trigger."
        elif self._max_triggers is not None and self._announced >= self._max_triggers:
            code = "complete"
            reason = f"all {self._max_triggers} fields that the run is to have are announced; announce no more, await run_stop."
        elif self._announced >= self._until():
            code = "credit"
            reason = f"{self._announced} triggers were announced and {self._until()} are allowed so far; wait for CREDIT."
        elif (wrong := self._claim(command)) is not None:
            code, reason = wrong.code, wrong.reason
        else:
            return None
        return Rejected(cmd_id=command.cmd_id, code=code, reason=reason)

    def _claim(self, command: TriggerCommand) -> Unreplaceable | None:
        if command.replaces is None:
            return None
        is_open = command.replaces in self._pending or self.ledger.is_open(command.replaces)
        return self.places.claim(command.trigger_id, command.replaces, is_open)

    def _enter(self, command: TriggerCommand) -> Rejected | None:
        try:
            self._journal.announce(command, lambda: self._confirmed(command))
        except Exception as problem:
            with self._changed:  # whatever it was: `close` waits for what is pending
                self._pending.pop(command.trigger_id, None)
                self._announced -= 1
                self.places.withdraw(command.trigger_id)
            if not isinstance(problem, JournalError):
                raise
            return Rejected(cmd_id=command.cmd_id, code="state", reason=str(problem))
        return None

    def _confirmed(self, command: TriggerCommand) -> None:
        stage = command.stage
        trigger = Trigger(
            command.trigger_id,
            command.field_index,
            (stage.x_nm, stage.y_nm) if stage else None,
            time.monotonic_ns(),
            stage.z_nm if stage else None,
        )
        with self._changed:
            self._pending.pop(trigger.trigger_id, None)
            self._accepted_index = max(self._accepted_index, trigger.field_index)
            try:
                self.ledger.issue(trigger.trigger_id, trigger.field_index, trigger.stage_nm)
            except LedgerRefusal as problem:
                # The journal holds it and no field will come of it: there must be no pulse, and the run's sums cannot match.
                self.defect = f"{problem}; report this defect."
                _log.error("%s", self.defect)
                self._answers.append(Rejected(cmd_id=command.cmd_id, code="state", reason=self.defect))
            else:
                self._due.append(trigger)
                self._answers.append(Accepted(cmd_id=command.cmd_id, trigger_until=self._until()))
            self._changed.notify_all()


def _duplicate(command: TriggerCommand, before_cmd_id: str) -> Rejected:
    reason = f"trigger {command.trigger_id!r} was announced before, by command {before_cmd_id!r}; give each a new name."
    return Rejected(cmd_id=command.cmd_id, code="duplicate_trigger", reason=reason)
