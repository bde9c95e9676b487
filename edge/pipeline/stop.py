"""The ways a run ends before its source does: someone asks for it, or something breaks."""

from edge.contracts.errors import LeukoError
from edge.contracts.records import RunOutcome


class StopSwitch:
    """Set by a signal handler, the stream's thread or a test; looked at by the loop.

    Plain attributes and no lock: a signal handler may interrupt the very thread that would hold the lock.
    """

    def __init__(self) -> None:
        self.requested = ""
        self.outcome = RunOutcome.STOPPED

    def stop(self, reason: str, outcome: RunOutcome = RunOutcome.STOPPED) -> None:
        """Ask the run to finish what it took in and to end with `outcome`. The first reason stays; it is never empty."""
        if not self.requested:
            self.outcome = outcome
            self.requested = reason


def sentence_of(problem: Exception, what: str) -> str:
    """A known error's own sentence, or one that says that `what` happened by a defect."""
    if isinstance(problem, LeukoError):
        return str(problem)
    return f"{what} ({type(problem).__name__}: {problem}); report this defect with the log of --log-level debug."
