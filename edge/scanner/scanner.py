"""A scanner's side of runs: announce under credit, pulse after ACCEPTED, keep every record, come back after anything.

What it is to do, and what is to go wrong with it, is drawn from one seed.
"""

import random
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable

from edge.contracts.errors import ConfigError, StreamError
from edge.contracts.messages import Accepted, Rejected, Resume, RunStartCommand, TriggerCommand
from edge.contracts.records import Record, RunOutcome, RunStop
from edge.scanner.notebook import Announced, Notebook, ScannedRun
from edge.scanner.rig import Mishap, Rig, StraightLine
from edge.scanner.scan_plan import ScanPlan
from edge.stream.client import Controller, refusal
from edge.stream.curve_keys import ClientKeys
from edge.stream.settings import ClientSettings

_IDLE_S = 0.02
_REPEATED = {"lost", "timeout", "skipped"}
"""Fields of an interrupted run that are exposed again in the next one."""


class Scanner:
    """Plays `plan` against the edge at `endpoint`; `on_record` is called with each new record.

    `rig` is what it moves and pulses; without one a stage in a straight line, and no line to a camera. With a notebook that a
    former scanner has left, it goes on where that one was. Raises `ConfigError` when the edge cannot be triggered, and
    `StreamError` when it refuses, or stays away for longer than the plan's patience.
    """

    def __init__(
        self,
        endpoint: str,
        open_notebook: Callable[[], Notebook],
        plan: ScanPlan,
        client_id: str = "simulated-scanner",
        keys: ClientKeys | None = None,
        on_record: Callable[[Record], None] = lambda record: None,
        rig: Rig | None = None,
    ) -> None:
        self._rig = rig or StraightLine(plan.stage_step_um)
        self._endpoint = endpoint
        self._open_notebook = open_notebook
        self._plan = plan
        self._client_id = client_id
        self._keys = keys
        self._on_record = on_record
        self._chance = _MishapChance(plan)
        often_s = min(1.0, plan.dead_after_s / 5)
        self._settings = ClientSettings(
            window=plan.window,
            reconnect_s=plan.patience_s,
            dead_after_s=plan.dead_after_s,
            ping_every_s=often_s,
            command_retry_s=often_s,
        )
        self._due_s = time.monotonic()
        self._progress_s = time.monotonic()
        self._stopped = False
        self._to_do: deque[int] = deque()
        self.mishaps: Counter[str] = Counter()
        self.notebook = open_notebook()
        self._controller: Controller | None = None

    def scan(self) -> list[ScannedRun]:
        """Expose every field of the plan; another run follows while the edge interrupts them. Returns the runs."""
        try:
            while True:
                run = self._run()
                while not run.ended:
                    run = self._step_or_recover(run)
                if not self._continues(run):
                    return self.notebook.runs
        finally:
            self._disconnect()
            self.notebook.close()

    def _run(self) -> ScannedRun:
        """The run to work on: the one that has not ended, or a new one."""
        runs = self.notebook.runs
        if not runs or (runs[-1].ended and self._continues(runs[-1])):
            self._stopped = False
            self._disconnect()  # the next connection starts the run
            self.notebook.run(str(uuid.uuid4()), str(uuid.uuid4()), runs[-1].run_id if runs else None)
        return runs[-1]

    def _continues(self, run: ScannedRun) -> bool:
        interrupted = run.records[-1]["outcome"] == RunOutcome.INTERRUPTED.value
        return interrupted and len(self.notebook.runs) < self._plan.max_runs

    def _step_or_recover(self, run: ScannedRun) -> ScannedRun:
        try:
            run = self._step(run)
        except StreamError:
            if time.monotonic() - self._progress_s > self._plan.patience_s:
                raise
            self.mishaps["connection lost"] += 1
            self._disconnect()
            time.sleep(_IDLE_S)
        return run

    def _step(self, run: ScannedRun) -> ScannedRun:
        """Take a record or announce a field, whichever is there; then perhaps something goes wrong."""
        controller = self._connected(run)
        index = self._next_field(run)
        record = controller.poll(0.0 if index is not None else _IDLE_S)
        if record is not None:
            self._progress_s = time.monotonic()
            self.notebook.record(record.model_dump(mode="json"))
            self._on_record(record)
            if self._rig.has_enough(record):
                self._to_do.clear()
            if isinstance(record, RunStop):
                controller.poll(0.0)  # this says that it is safe here
                return run
        elif index is not None:
            self._announce(run, index)
        elif not self._stopped and not run.open and not self._to_do:
            self._stopped = True
            controller.stop_run(run.run_id, timeout_s=self._plan.patience_s)
            return run
        elif time.monotonic() - self._progress_s > self._plan.patience_s + 1 / (self._plan.rate or 1):
            raise StreamError(f"the edge at {self._endpoint} gave no record for {self._plan.patience_s:g} s; look at its log.")
        else:
            return run
        return self._perhaps_fail(run)

    def _next_field(self, run: ScannedRun) -> int | None:
        """The next field to announce, when it is its turn and there is credit."""
        credit = self._connected(run).trigger_until.get(run.run_id, 1)  # unknown: the answer to the first will tell
        if self._stopped or len(run.triggers) >= credit or time.monotonic() < self._due_s:
            return None
        return self._to_do[0] if self._to_do else None

    def _left(self, run: ScannedRun) -> "deque[int]":
        """Fields that no run has recorded and this one has not announced."""
        if self._rig.is_done:
            return deque()
        last = max((trigger.field_index for trigger in run.triggers.values()), default=-1)
        done = {
            record["field_index"]
            for before in self.notebook.runs[:-1]
            for record in before.records
            if record["type"] == "field" and record["status"] not in _REPEATED
        }
        return deque(index for index in range(last + 1, self._plan.fields) if index not in done)

    def _announce(self, run: ScannedRun, index: int) -> None:
        trigger_id = f"t-{index}"
        self._to_do.popleft()
        self._progress_s = time.monotonic()
        self.notebook.announce(trigger_id, str(uuid.uuid4()), index)
        self._due_s = max(time.monotonic(), self._due_s) + (1 / self._plan.rate if self._plan.rate else 0.0)
        self._command(run, run.triggers[trigger_id])

    def _command(self, run: ScannedRun, trigger: Announced) -> None:
        """Announce; the pulse follows ACCEPTED. A refused trigger is none: the edge has said why."""
        command = TriggerCommand(
            cmd_id=trigger.cmd_id,
            run_id=run.run_id,
            trigger_id=trigger.trigger_id,
            field_index=trigger.field_index,
            stage=self._rig.stage_of(trigger.field_index),
        )
        controller = self._connected(run)
        answer = controller.command(command, self._plan.patience_s)
        if isinstance(answer, Accepted):
            self.notebook.pulse(trigger.trigger_id)
            self._rig.pulse(trigger.field_index)
        elif isinstance(answer, Rejected):
            self.mishaps[f"refused: {answer.code}"] += 1
            self.notebook.refused(trigger.trigger_id)
            if answer.code == "unsupported":
                raise ConfigError(f"the edge at {self._endpoint} cannot be triggered: {answer.reason}")
            if answer.code == "credit":
                self._to_do.appendleft(trigger.field_index)
            else:
                self._stopped = True

    def _perhaps_fail(self, run: ScannedRun) -> ScannedRun:
        mishap = self._rig.mishap() or self._chance.draw()
        if mishap is None:
            return run
        self.mishaps[mishap] += 1
        if mishap == "stall":
            time.sleep(self._plan.stall_s)
            return run
        self._disconnect()
        if mishap == "restart":
            self.notebook.close()
            self.notebook = self._open_notebook()
            if not self.notebook.runs:
                raise ConfigError("a scanner that restarts needs a notebook in a file; give --notebook FILE.")
            run = self.notebook.runs[-1]
        self._connect(run)
        return run

    def _connect(self, run: ScannedRun) -> None:
        """Open the session, start the run unless it has records, and settle what was announced and not answered."""
        self._controller = controller = Controller(
            self._endpoint, client_id=self._client_id, settings=self._settings, keys=self._keys
        )
        resume = Resume(run_id=run.run_id, next_seq=len(run.records)) if run.records else None
        controller.connect(self._plan.patience_s, resume)
        if resume is None:
            self._start(controller, run)
        self._to_do = self._left(run)
        for trigger in [trigger for trigger in run.triggers.values() if not trigger.pulsed]:
            self._command(run, trigger)

    def _start(self, controller: Controller, run: ScannedRun) -> None:
        command = RunStartCommand(cmd_id=run.cmd_id, run_id=run.run_id, continues_run_id=run.continues, order=self._rig.order())
        answer = controller.command(command, self._plan.patience_s)
        if not isinstance(answer, Accepted) and not (isinstance(answer, Rejected) and answer.code == "duplicate_run"):
            raise StreamError(refusal(answer))
        controller.follow(run.run_id, 0)

    def _connected(self, run: ScannedRun) -> Controller:
        if self._controller is None:
            self._connect(run)
        if self._controller is None:
            raise ConfigError("the scanner has no connection; report this defect.")
        return self._controller

    def _disconnect(self) -> None:
        if self._controller is not None:
            self._controller.close()
            self._controller = None


class _MishapChance:
    """Decides at every step whether something goes wrong."""

    def __init__(self, plan: ScanPlan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)

    def draw(self) -> Mishap | None:
        """The mishap of this step, if any."""
        chances: tuple[tuple[Mishap, float], ...] = (
            ("disconnect", self._plan.disconnect_every),
            ("stall", self._plan.stall_every),
            ("restart", self._plan.restart_every),
        )
        for mishap, every in chances:
            if every and self._random.random() < 1 / every:
                return mishap
        return None
