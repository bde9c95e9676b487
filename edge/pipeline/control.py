"""What the stream may ask of the pipeline, and what the pipeline tells the stream.

The stream's thread calls `RunControl`; no call blocks. In the other direction the only path is the journal: every record of a
run is appended by one thread, and `Journal.on_append` calls the stream back in that thread.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from edge.contracts.messages import Accepted, Rejected, RunStartCommand, RunStopCommand, TriggerCommand
from edge.contracts.records import FieldStatus

Phase = Literal["waiting", "running", "stopping", "finished"]


@dataclass(frozen=True, slots=True)
class ControlState:
    """A consistent view of the run at one moment.

    `run_id` is None until a run was accepted. `open_triggers` have not ended yet; `fields` counts those that have.
    `open_trigger_ids` were announced, and `trigger_until` is the credit for more; None when the source paces itself.
    """

    phase: Phase
    run_id: str | None = None
    open_triggers: int = 0
    open_trigger_ids: tuple[str, ...] = ()
    trigger_until: int | None = None
    fields: dict[FieldStatus, int] = field(default_factory=dict)


class RunControl(Protocol):
    """Commands of the controller. Safe to call from one thread that is not the pipeline's.

    Commands are idempotent: a repeated `cmd_id` gets the answer it got the first time, whatever happened in between. They raise
    `StreamError` when the journal, which knows what happened, cannot be read.
    """

    def start(self, command: RunStartCommand) -> Accepted | Rejected:
        """Begin the named run; `run_start` follows through the journal. Rejects `duplicate_run`, `busy` and `state`."""
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

    def state(self) -> ControlState:
        """Where the run stands; for QUERY, PONG and WELCOME."""
        ...
