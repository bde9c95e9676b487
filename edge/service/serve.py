"""Serves one run: bind, wait for a controller, run, stay until it holds every record."""

import logging
import uuid
from contextlib import ExitStack

from edge.contracts.errors import StreamError
from edge.contracts.messages import RunStartCommand
from edge.contracts.records import RunOutcome, RunStop
from edge.engine.base import Engine
from edge.journal.base import Journal
from edge.pipeline import Opened, Run, StopSwitch
from edge.pipeline.backlog import Backlog
from edge.pipeline.run_control import SingleRun
from edge.pipeline.trigger_desk import TriggerDesk
from edge.service.journals import opened_journal
from edge.settings import IN_MEMORY, EdgeSettings, Setup
from edge.stream.server import EdgeServer
from edge.stream.settings import StreamSettings
from edge.telemetry.snapshot import Look, look_at
from edge.telemetry.telemetry import Telemetry

_WAIT_S = 0.1
_log = logging.getLogger(__name__)


def serve_one_run(setup: Setup, parts: Opened, stop: StopSwitch) -> RunOutcome:
    """Perform the run of the first controller that starts one. `STOPPED` also when none had come before the stop.

    Raises `StreamError` when the endpoint cannot be bound, or when records were not acknowledged within `ack_timeout_s`.
    """
    settings = setup.settings
    pace = StreamSettings(ping_every_s=settings.ping_every_s, silent_after_s=settings.silent_after_s)
    with ExitStack() as held:
        journal = held.enter_context(opened_journal(settings))
        desk = None
        if not parts.source.info.self_paced:
            desk = TriggerDesk(journal, settings.trigger_window, settings.max_fields)
        control = SingleRun(stop, journal, desk)
        boot_id = str(uuid.uuid4())
        server = held.enter_context(EdgeServer(settings.bind, journal, control, boot_id, pace, settings.keys))
        running: list[Run] = []
        look = look_at(control, journal, server, lambda: sum(run.waiting for run in running))
        telemetry = held.enter_context(_telemetry(settings, boot_id, parts.engine, look))
        _log.info("%s reads %s", parts.engine.info, parts.source.info.uri)
        _log.info("waiting for a controller at %s", server.endpoint)
        order = _wait(control, server, stop, parts.engine)
        if order is None:
            _log.info("stopped before a run began: %s", stop.requested)
            server.close(0.0)
            return RunOutcome.STOPPED
        one = Run(setup, parts.source, parts.engine, parts.plan, order, stop, desk, parts.frames, parts.crops)
        hold = desk.hold if desk else _hold_nothing
        control.running(one.ledger, Backlog(settings.pause_after_records, one.advise, hold))
        running.append(one)
        _log.info("run %s begins", order.run_id)
        outcome = _perform(one, journal, server, stop, control, telemetry)
        control.finished()
        server.close(settings.ack_timeout_s)
        left = journal.next_seq(order.run_id) - 1 - journal.acknowledged(order.run_id)
    if left:
        kept = (
            f"they stay in {settings.journal}: start the edge with this journal again and resume the run."
            if settings.journal != IN_MEMORY
            else "they are lost with this process; keep it connected until run_stop, or use --journal FILE."
        )
        raise StreamError(
            f"the controller did not acknowledge the last {left} records of run {order.run_id} within "
            f"{settings.ack_timeout_s:g} s; {kept}"
        )
    return outcome


def _wait(control: SingleRun, server: EdgeServer, stop: StopSwitch, engine: Engine) -> RunStartCommand | None:
    while not stop.requested:
        engine.keep_warm()
        _check_stream(server)
        if order := control.wait_for_start(_WAIT_S):
            return order
    return None


def _telemetry(settings: EdgeSettings, boot_id: str, engine: Engine, look: Look) -> Telemetry:
    return Telemetry(
        boot_id,
        engine.info,
        look,
        bind=settings.telemetry,
        hz=settings.telemetry_hz,
        keys=settings.keys,
        metrics=settings.metrics,
    )


def _perform(
    one: Run, journal: Journal, server: EdgeServer, stop: StopSwitch, control: SingleRun, telemetry: Telemetry
) -> RunOutcome:
    outcome = RunOutcome.INTERRUPTED
    for record in one.records():
        journal.append(record)
        control.waiting(record.run_id, record.seq - journal.acknowledged(record.run_id))
        telemetry.record(record)
        if journal.trouble:
            stop.stop(journal.trouble, RunOutcome.FAILED)
        if not server.alive:
            stop.stop("the stream ended by a defect", RunOutcome.FAILED)
        if isinstance(record, RunStop):
            outcome = record.outcome
            _report(record)
    _check_stream(server)
    return outcome


def _hold_nothing(_: bool) -> None:
    """A source that paces itself cannot be held back; it is advised like any other."""


def _report(last: RunStop) -> None:
    level = logging.ERROR if last.outcome is RunOutcome.FAILED else logging.INFO
    ends = ", ".join(f"{count} {status.value}" for status, count in last.fields.items()) or "no field"
    _log.log(level, "run %s %s (%s): %s", last.run_id, last.outcome.value, last.detail, ends)


def _check_stream(server: EdgeServer) -> None:
    if not server.alive:
        raise StreamError("the stream ended by a defect and the run cannot be delivered; report it with the log.")
