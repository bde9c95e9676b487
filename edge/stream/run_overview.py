"""What the edge can say about its runs: WELCOME, STATE and PONG."""

import json
from typing import Any

from edge.contracts.errors import StreamError
from edge.contracts.messages import Query, Rejected, Resume, RunInfo, State
from edge.contracts.records import NetSums, RunStop
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
        """Also true for a run that was accepted and has no record yet; not for one that was broken off before it had any."""
        return run_id == self._current() or self._journal.holds(run_id)

    def _current(self) -> str | None:
        state = self._control.state()
        return None if state.phase == "finished" else state.run_id

    def held(self) -> int:
        """How many runs there are to be asked for."""
        return len(self._all())

    def _all(self) -> list[str]:
        current, ids = self._current(), self._journal.runs()
        return ids if current is None or current in ids else [*ids, current]

    def infos(self) -> tuple[RunInfo, ...]:
        """Runs that a controller does not hold whole yet, and the newest ones; oldest first, `_MOST` at most."""
        ids = self._all()
        listed = [run_id for run_id in ids[:-_NEWEST] if not self._whole(run_id)] + ids[-_NEWEST:]
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
            acknowledged=self._journal.acknowledged(run_id),
            first_seq=self._journal.first_seq(run_id),
        )

    def answer(self, query: Query) -> State | Rejected:
        """The state of one run or of all."""
        state = self._control.state()
        if query.run_id is None and query.from_run is not None:
            infos = tuple(self._info(run_id) for run_id in self._all()[query.from_run : query.from_run + _MOST])
        elif query.run_id is None:
            infos = self.infos()
        elif self.known(query.run_id):
            infos = (self._info(query.run_id),)
        elif self._journal.absent:
            return Rejected(cmd_id=query.cmd_id, code="state", reason=self._journal.absent)
        else:
            return Rejected(
                cmd_id=query.cmd_id,
                code="unknown_run",
                reason=f"this edge holds no run {query.run_id!r}; QUERY without one.",
            )
        known: dict[str, Any] = {}
        if query.run_id not in {None, state.run_id}:
            known = self._sums_of(infos[0].run_id)
        elif any(info.run_id == state.run_id for info in infos):
            net, carried = self._control.sums() if len(infos) == 1 else (None, None)
            known = {"fields": dict(state.fields), "net": net, "carried": carried}
        service = state.service
        return State(
            cmd_id=query.cmd_id,
            runs=infos,
            runs_held=self.held(),
            service_state=service.state,
            service_reason=service.reason,
            **known,
        )

    def _sums_of(self, run_id: str) -> dict[str, Any]:
        """Of a run before, as its `run_stop` has them."""
        last = self._record(run_id, self._journal.next_seq(run_id) - 1)
        if last is None or last["type"] != "run_stop":
            return {}
        stop = RunStop.model_validate_json(json.dumps(last))
        net = stop.net and NetSums(
            fields=stop.net.fields,
            cells=stop.net.cells,
            wbc_total=stop.net.differential.wbc_total,
            replaced=stop.net.replaced,
        )
        return {"fields": stop.fields, "net": net, "carried": stop.carried}

    def written_by_another(self, resume: Resume) -> bool:
        """Whether the last record that a client holds is another one than the journal's; False when nobody can tell."""
        if resume.boot_id is None or resume.next_seq == 0:
            return False
        ours = self._record(resume.run_id, resume.next_seq - 1)
        return ours is not None and ours.get("boot_id") != resume.boot_id

    def _record(self, run_id: str, seq: int) -> dict[str, Any] | None:
        try:
            found = self._journal.read(run_id, seq, 1) if seq >= 0 else []
        except StreamError:  # acknowledged and no longer held
            return None
        return json.loads(found[0][1]) if found else None

    def last_seq_and_lag(self) -> tuple[int | None, int | None]:
        """Of the newest run: seq of its last record, and how many records no controller has acknowledged."""
        ids = self._journal.runs()
        if not ids:
            return None, None
        last_seq = self._journal.next_seq(ids[-1]) - 1
        return last_seq, last_seq - self._journal.acknowledged(ids[-1])

    def acknowledged(self) -> bool:
        """Whether a controller holds every record of this process's runs; older ones may stay in the journal."""
        own = self._control.own_runs()
        return all(self._journal.acknowledged(run_id) == self._journal.next_seq(run_id) - 1 for run_id in own)

    def total_acknowledged(self) -> int:
        """Records that a controller holds, over all runs."""
        return sum(self._journal.acknowledged(run_id) + 1 for run_id in self._journal.runs())
