"""What the edge can say about its runs: WELCOME, STATE and PONG."""

from leukostream.edge.contracts.messages import Query, Rejected, RunInfo, State
from leukostream.edge.journal.base import Journal
from leukostream.edge.pipeline.control import RunControl


class Runs:
    """Reads journal and control; changes neither."""

    def __init__(self, journal: Journal, control: RunControl) -> None:
        self._journal = journal
        self._control = control

    def known(self, run_id: str) -> bool:
        """Also true for a run that was accepted and has no record yet."""
        return run_id == self._control.state().run_id or run_id in self._journal.runs()

    def infos(self) -> tuple[RunInfo, ...]:
        """Every run the edge holds, oldest first."""
        state = self._control.state()
        ids = self._journal.runs()
        if state.run_id is not None and state.run_id not in ids:
            ids = [*ids, state.run_id]
        return tuple(
            RunInfo(
                run_id=run_id,
                next_seq=self._journal.next_seq(run_id),
                finished=self._journal.finished(run_id),
                open_triggers=state.open_triggers if run_id == state.run_id else 0,
            )
            for run_id in ids
        )

    def answer(self, query: Query) -> State | Rejected:
        """The state of one run or of all."""
        infos = self.infos()
        if query.run_id is not None:
            infos = tuple(info for info in infos if info.run_id == query.run_id)
            if not infos:
                return Rejected(
                    cmd_id=query.cmd_id,
                    code="unknown_run",
                    reason=f"this edge holds no run {query.run_id!r}; QUERY without one.",
                )
        state = self._control.state()
        current = any(info.run_id == state.run_id for info in infos)
        return State(cmd_id=query.cmd_id, runs=infos, fields=dict(state.fields) if current else {})

    def last_seq_and_lag(self) -> tuple[int | None, int | None]:
        """Of the newest run: seq of its last record, and how many records no controller has acknowledged."""
        ids = self._journal.runs()
        if not ids:
            return None, None
        last_seq = self._journal.next_seq(ids[-1]) - 1
        return last_seq, last_seq - self._journal.acknowledged(ids[-1])

    def all_acknowledged(self) -> bool:
        """Whether a controller holds every record of every run."""
        return all(self._journal.acknowledged(run_id) == self._journal.next_seq(run_id) - 1 for run_id in self._journal.runs())

    def total_acknowledged(self) -> int:
        """Records that a controller holds, over all runs."""
        return sum(self._journal.acknowledged(run_id) + 1 for run_id in self._journal.runs())
