"""What the edge can say about its runs: WELCOME, STATE and PONG."""

from edge.contracts.messages import Query, Rejected, RunInfo, State
from edge.journal.base import Journal
from edge.pipeline.run_control import RunControl

_NEWEST = 16
_MOST = 64


class RunOverview:
    """Reads journal and control; changes neither."""

    def __init__(self, journal: Journal, control: RunControl) -> None:
        self._journal = journal
        self._control = control

    def known(self, run_id: str) -> bool:
        """Also true for a run that was accepted and has no record yet."""
        return run_id == self._control.state().run_id or run_id in self._journal.runs()

    def infos(self) -> tuple[RunInfo, ...]:
        """Runs that a controller does not hold whole yet, and the newest ones; oldest first, `_MOST` at most."""
        current, ids = self._control.state().run_id, self._journal.runs()
        listed = [run_id for run_id in ids[:-_NEWEST] if not self._whole(run_id)] + ids[-_NEWEST:]
        if current is not None and current not in ids:
            listed.append(current)
        return tuple(self._info(run_id) for run_id in listed[-_MOST:])

    def _whole(self, run_id: str) -> bool:
        """Whether the run has ended and a controller holds all of it."""
        return self._journal.finished(run_id) and self._journal.acknowledged(run_id) == self._journal.next_seq(run_id) - 1

    def _info(self, run_id: str) -> RunInfo:
        state = self._control.state()
        current = run_id == state.run_id
        return RunInfo(
            run_id=run_id,
            next_seq=self._journal.next_seq(run_id),
            finished=self._journal.finished(run_id),
            open_triggers=state.open_triggers if current else 0,
            open_trigger_ids=state.open_trigger_ids if current else (),
            trigger_until=state.trigger_until if current else None,
            paused=current and state.paused,
        )

    def answer(self, query: Query) -> State | Rejected:
        """The state of one run or of all."""
        if query.run_id is None:
            infos = self.infos()
        elif self.known(query.run_id):
            infos = (self._info(query.run_id),)
        else:
            return Rejected(
                cmd_id=query.cmd_id,
                code="unknown_run",
                reason=f"this edge holds no run {query.run_id!r}; QUERY without one.",
            )
        state = self._control.state()
        current = any(info.run_id == state.run_id for info in infos)
        net, carried = self._control.sums() if current and len(infos) == 1 else (None, None)
        fields = dict(state.fields) if current else {}
        return State(cmd_id=query.cmd_id, runs=infos, fields=fields, net=net, carried=carried)

    def last_seq_and_lag(self) -> tuple[int | None, int | None]:
        """Of the newest run: seq of its last record, and how many records no controller has acknowledged."""
        ids = self._journal.runs()
        if not ids:
            return None, None
        last_seq = self._journal.next_seq(ids[-1]) - 1
        return last_seq, last_seq - self._journal.acknowledged(ids[-1])

    def acknowledged(self) -> bool:
        """Whether a controller holds every record of this process's run; older ones may stay in the journal."""
        run_id = self._control.state().run_id
        return run_id is None or self._journal.acknowledged(run_id) == self._journal.next_seq(run_id) - 1

    def total_acknowledged(self) -> int:
        """Records that a controller holds, over all runs."""
        return sum(self._journal.acknowledged(run_id) + 1 for run_id in self._journal.runs())
