"""What nobody records and is looked up when somebody wants to know: phase, lag, queue, sessions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.journal.base import Journal
from edge.pipeline.run_control import Phase, RunControl
from edge.stream.run_overview import Runs
from edge.stream.server import EdgeServer


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the edge at one moment. `last_seq` and `lag` are of the newest run, as in PONG.

    `refused` are clients of the controllers' socket without an allowed key; `rejects` counts REJECT by code.
    """

    phase: Phase
    run_id: str | None
    open_triggers: int
    last_seq: int | None
    lag: int | None
    queue_fields: int
    sessions: int
    refused: int
    rejects: Mapping[str, int]


Look = Callable[[], Vitals]
"""Safe to call from any thread; waits for nobody but for the short locks of what it looks at."""


def look_at(control: RunControl, journal: Journal, server: EdgeServer) -> Look:
    """How an edge that serves a run is looked at."""
    runs = Runs(journal, control)

    def look() -> Vitals:
        state = control.state()
        last_seq, lag = runs.last_seq_and_lag()
        return Vitals(
            phase=state.phase,
            run_id=state.run_id,
            open_triggers=state.open_triggers,
            last_seq=last_seq,
            lag=lag,
            queue_fields=state.queue_fields,
            sessions=server.sessions,
            refused=server.refused,
            rejects=server.rejects,
        )

    return look
