"""The main function of an edge: open what is needed, wait for an order, perform its run, stay until the controller holds it."""

import logging
import uuid
from contextlib import ExitStack
from pathlib import Path
from shlex import quote

from edge.camera.frame import SourceNote
from edge.contracts.errors import StreamError
from edge.contracts.log_context import of_run
from edge.contracts.records import Record, RunOutcome, RunStop
from edge.engine.base import EngineInfo
from edge.journal.base import Journal
from edge.journal.carried import carried_into
from edge.pipeline import Parts, Run, StopSwitch
from edge.pipeline.run_control import Backlog, SingleRun
from edge.pipeline.trigger_desk import TriggerDesk
from edge.service.journals import opened_journal
from edge.service.self_report import Doctor, HealthWatch, self_report
from edge.settings import IN_MEMORY, EdgeSettings, Setup
from edge.stream.server import EdgeServer
from edge.stream.settings import StreamSettings
from edge.telemetry.snapshot import TakeSnapshot, snapshots_of
from edge.telemetry.telemetry import Telemetry

_WAIT_S = 0.1
_log = logging.getLogger(__name__)


def serve_one_run(setup: Setup, parts: Parts, stop: StopSwitch, doctor: Doctor | None = None) -> RunOutcome:
    """Perform the run of the first controller that starts one. `STOPPED` also when none had come before the stop. `doctor`
    diagnoses this machine for a controller that asks.

    Raises `StreamError` when the endpoint cannot be bound, or when records were not acknowledged within `ack_timeout_s`, and
    `JournalError` when the journal cannot be opened, or takes no record any more.
    """
    settings, source, engine = setup.settings, parts.source.info, parts.engine
    with ExitStack() as held:
        # Open what a run needs beside camera and engine: the journal first, from which all others answer.
        journal = held.enter_context(opened_journal(settings, boot_id := str(uuid.uuid4())))
        desk = None if source.self_paced else TriggerDesk(journal, settings.trigger_window, settings.max_fields)
        control = SingleRun(stop, journal, desk)
        health = HealthWatch(setup, parts, journal, control)
        server = held.enter_context(_server(setup, parts, control, journal, boot_id, health, doctor))
        telemetry = held.enter_context(_telemetry(settings, boot_id, engine.info, snapshots_of(control, journal, server)))
        _log.info("%s reads %s", engine.info, source.uri)

        # Wait for an order.
        watch = watch_command(server.endpoint, settings.keys)
        _log.info("waiting for a controller at %s (such as `%s` on this machine)", server.endpoint, watch)
        while (order := control.wait_for_start(_WAIT_S)) is None:
            if stop.requested:
                _log.info("stopped before a run began: %s", stop.requested)
                server.close(0.0)
                return RunOutcome.STOPPED
            engine.keep_warm()
            _check_alive(server)

        carried = carried_into(journal, order.run_id, order.continues_run_id)
        run = Run(setup, parts, order, stop, desk, control.hold, carried)
        backlog = Backlog(settings.pause_after_records, run.note, desk.hold if desk else None)
        control.running(run.ledger, backlog, lambda: run.waiting, run.sums)
        journal.on_held(lambda sentence: run.note(SourceNote("journal_held", sentence, "warning")))
        _log.info("run %s begins", order.run_id, extra=of_run(order.run_id))

        def put_on_record(record: Record) -> None:
            journal.append(record)  # on disk first; from there the stream's thread sends it
            control.waiting(order.run_id, record.seq - journal.acknowledged(order.run_id))
            telemetry.record(record)  # published for whoever looks on
            health.record(record)
            if journal.trouble:
                stop.stop(journal.trouble, RunOutcome.FAILED)
            if not server.alive:
                stop.stop("the stream ended by a defect", RunOutcome.FAILED)

        # Perform it: take, run, count, journal and publish, until all that was taken in has ended.
        put_on_record(run.begin())
        with run:
            while run.goes_on:
                taken = run.take()
                for ended in run.compute(taken):
                    put_on_record(run.count(ended))
        # Account for every trigger that has no end by now.
        with run.settling() as unended:
            for ended in unended:
                put_on_record(run.count(ended))
        last = run.end()
        put_on_record(last)

        # End: stay until the controller holds every record.
        journal.settle()
        _report(last)
        _check_alive(server)
        control.finished()
        server.close(settings.ack_timeout_s)
        left = _not_heard(journal, order.run_id)
    if left:
        raise StreamError(_not_acknowledged(left, order.run_id, settings))
    return last.outcome


def watch_command(endpoint: str, keys: Path | None) -> str:
    """The command of the reference controller that reaches this endpoint from the same machine."""
    here = endpoint.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:").replace("//*:", "//127.0.0.1:")
    with_keys = f" --key NAME.key_secret --edge-key {quote(str(keys / 'edge.key'))}" if keys is not None else ""
    return f"leuko-edge watch {quote(here)}{with_keys}"


def _server(
    setup: Setup,
    parts: Parts,
    control: SingleRun,
    journal: Journal,
    boot_id: str,
    health: HealthWatch,
    doctor: Doctor | None,
) -> EdgeServer:
    settings = setup.settings
    pace = StreamSettings(ping_every_s=settings.ping_every_s, silent_after_s=settings.silent_after_s)
    report = self_report(setup, parts, pace, health, doctor)
    return EdgeServer(settings.bind, journal, control, boot_id, pace, settings.keys, report)


def _telemetry(settings: EdgeSettings, boot_id: str, engine: EngineInfo, take_snapshot: TakeSnapshot) -> Telemetry:
    return Telemetry(
        boot_id,
        engine,
        take_snapshot,
        bind=settings.telemetry,
        hz=settings.telemetry_hz,
        keys=settings.keys,
        metrics=settings.metrics,
    )


def _not_heard(journal: Journal, run_id: str) -> int:
    """How many records the controller does not hold. Raises `JournalError` when they are no longer where it could read them."""
    if left := journal.next_seq(run_id) - 1 - journal.acknowledged(run_id):
        journal.settle()
    return left


def _check_alive(server: EdgeServer) -> None:
    if not server.alive:
        raise StreamError("the stream ended by a defect and the run cannot be delivered; report it with the log.")


def _report(last: RunStop) -> None:
    level = logging.ERROR if last.outcome is RunOutcome.FAILED else logging.INFO
    ends = ", ".join(f"{count} {status.value}" for status, count in last.fields.items()) or "no field"
    ids = of_run(last.run_id)
    _log.log(level, "run %s %s (%s): %s", last.run_id, last.outcome.value, last.detail, ends, extra=ids)
    for doubt in last.doubts:
        _log.warning("run %s: %s", last.run_id, doubt, extra=ids)


def _not_acknowledged(n_records: int, run_id: str, settings: EdgeSettings) -> str:
    kept = (
        f"they stay in {settings.journal}: start the edge with this journal again and resume the run."
        if settings.journal != IN_MEMORY
        else "they are lost with this process; keep it connected until run_stop, or use --journal FILE."
    )
    return (
        f"the controller did not acknowledge the last {n_records} records of run {run_id} within "
        f"{settings.ack_timeout_s:g} s; {kept}"
    )
