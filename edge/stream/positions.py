"""Whether a client's place in a run can be true: what it says it holds, and what it wants to read."""

from edge.contracts.messages import Resume
from edge.journal.base import Journal
from edge.stream.refusals import Refused
from edge.stream.run_overview import RunOverview


class Positions:
    """Held against the journal; what cannot be is `Refused`. While there is no journal nobody is told that it lacks a run."""

    def __init__(self, journal: Journal, runs: RunOverview) -> None:
        self._journal = journal
        self._runs = runs

    def _check_known(self, run_id: str) -> int:
        """The seq that this run's next record will get."""
        if self._journal.absent:
            raise Refused("state", self._journal.absent, run_id=run_id)
        if not self._runs.known(run_id):
            raise Refused(
                "unknown_run",
                f"this edge does not hold run {run_id!r} (it may have been restarted); start a new run, or give its id.",
                run_id=run_id,
            )
        return self._journal.next_seq(run_id)

    def check_ack(self, run_id: str, next_seq: int) -> None:
        """The client holds all before `next_seq`."""
        end = self._check_known(run_id)
        if next_seq > end:
            raise Refused(
                "state",
                f"run {run_id!r} ends before seq {end} so far, the client claims to hold all before {next_seq}; "
                "resume from what was really received.",
                next_seq=end,
            )

    def check_resume(self, resume: Resume) -> None:
        """Who holds records that this journal has not was served from another one, or before it went back in time."""
        if self._journal.absent:  # who hears `ending` comes back until an edge has its run
            raise Refused("ending", self._journal.absent, run_id=resume.run_id)
        end = self._check_known(resume.run_id)
        if resume.next_seq > end:
            why = f"it holds {end} records and the client more, up to seq {resume.next_seq - 1}"
        elif self._runs.written_by_another(resume):
            why = f"its record {resume.next_seq - 1} was written by another process than the client's"
        else:
            return
        raise Refused(
            "other_history",
            f"this edge's journal of run {resume.run_id!r} is not the one that the client has read: {why}. Was an older copy "
            "put back, or power lost? Keep what was received, and read the run anew from seq 0.",
            run_id=resume.run_id,
            next_seq=end,
        )
