"""The main function of an edge that performs one run, and the way of every run: its order, its fields, its end."""

import logging
import uuid
from contextlib import ExitStack, closing

from edge.contracts.errors import StreamError
from edge.contracts.log_context import of_run
from edge.contracts.records import Record, RunOutcome, RunStop
from edge.journal.base import Journal
from edge.journal.carried import carried_into
from edge.pipeline import Parts, Run, StopSwitch
from edge.pipeline.named_optics import NamedOptics
from edge.pipeline.run_control import Backlog, Standing
from edge.pipeline.run_orders import AcceptedRun, RunOrders
from edge.pipeline.trigger_desk import TriggerDesk
from edge.service.fitness import check_age
from edge.service.front import Front
from edge.service.heartbeat import HEARTBEAT, Progress
from edge.service.journals import opened_journal
from edge.service.self_report import Doctor
from edge.settings import IN_MEMORY, EdgeSettings, Setup

WAIT_S = 0.1
_GRACE_S = 10.0
"""Beyond the time after which a run itself gives up on a source or a trigger: who has not recorded that is stuck."""
_log = logging.getLogger(__name__)


def serve_one_run(setup: Setup, parts: Parts, stop: StopSwitch, doctor: Doctor | None = None) -> RunOutcome:
    """Perform the run of the first controller that starts one. `STOPPED` also when none had come before the stop. `doctor`
    diagnoses this machine for a controller that asks.

    Raises `StreamError` when an address cannot be bound, or when records were not acknowledged within `ack_timeout_s`, and
    `JournalError` when the journal cannot be opened, or takes no record any more.
    """
    settings = setup.settings
    with ExitStack() as held:
        # Open what a run needs beside camera and engine: the journal first, from which all others answer.
        journal = held.enter_context(opened_journal(settings, boot_id := str(uuid.uuid4())))
        optics = held.enter_context(closing(NamedOptics(check_age)))
        optics.open(setup, parts)
        orders = RunOrders(stop, journal, lambda: desk_for(parts, journal, settings), optics.refusal, one_run=True)
        front = held.enter_context(Front(settings, journal, orders, boot_id, doctor))
        front.shows(setup, parts)
        _log.info("%s reads %s", parts.engine.info, parts.source.info.uri)

        # Wait for an order.
        front.say_where()
        while (accepted := orders.wait_for_start(WAIT_S)) is None:
            if stop.requested:
                _log.info("stopped before a run began: %s", stop.requested)
                front.server.close(0.0)
                return RunOutcome.STOPPED
            parts.engine.keep_warm()
            optics.keep_warm()
            front.check_alive()

        last = perform_run(accepted, *optics.of(accepted.order.profile), journal, orders, front)

        # End: stay until the controller holds every record.
        front.check_alive()
        orders.stands(Standing("DRAINING", "this edge has performed its run and ends once a controller holds all of it."))
        front.server.close(settings.ack_timeout_s)
        left = not_heard(journal, last.run_id)
    if left:
        raise StreamError(_not_acknowledged(left, last.run_id, settings))
    return last.outcome


def perform_run(
    accepted: AcceptedRun, setup: Setup, parts: Parts, journal: Journal, orders: RunOrders, front: Front
) -> RunStop:
    """From the order that was accepted to the last record, which is in the journal when this returns.

    Raises `JournalError` when the journal takes no record any more; then the run has no end on record.
    """
    order, stop, desk = accepted.order, accepted.stop, accepted.desk
    carried = carried_into(journal, order.run_id, order.continues_run_id)
    run = Run(setup, parts, order, stop, desk, accepted.hold, carried)
    backlog = Backlog(setup.settings.pause_after_records, run.note, desk.hold if desk else None)
    orders.running(accepted, run.ledger, backlog, lambda: run.waiting, run.sums)
    front.run_begins(run.note, parts.engine.info)
    _log.info("run %s begins", order.run_id, extra=of_run(order.run_id))

    settings = setup.settings
    progress = Progress(settings.source_timeout_s + settings.trigger_timeout_s + _GRACE_S, lambda: run.ledger.open > 0)

    def put_on_record(record: Record) -> None:
        journal.append(record)  # on disk first; from there the stream's thread sends it
        progress.made()
        front.beat()
        orders.waiting(order.run_id, record.seq - journal.acknowledged(order.run_id))
        front.record(record)
        look_for_trouble()

    def look_for_trouble() -> None:
        if journal.trouble:
            stop.stop(journal.trouble, RunOutcome.FAILED)
        if not front.server.alive:
            stop.stop("the stream ended by a defect", RunOutcome.FAILED)

    # Perform it: take, run, count, journal and publish, until all that was taken in has ended.
    put_on_record(run.begin())
    with run:
        while run.goes_on:
            taken = run.take()
            if taken is None:  # a journal that has failed refuses triggers, and no field would ever come
                look_for_trouble()
            for ended in run.compute(taken):
                put_on_record(run.count(ended))
            if lacking := progress.lacking():
                HEARTBEAT.stuck(lacking)
            front.beat()
    # Account for every trigger that has no end by now.
    with run.settling() as unended:
        for ended in unended:
            put_on_record(run.count(ended))
    last = run.end()
    if run.source_is_held:
        HEARTBEAT.abandoned(run.source_hangs, "the source")
    if last.outcome is RunOutcome.FAILED or run.source_is_held:
        # No run begins over what may be broken, also if its order comes the moment that this one's end is heard of.
        why = f"run {last.run_id} has failed ({last.detail.rstrip('.')}); its camera and engine are opened anew."
        orders.stands(Standing("FAULT", why))
    put_on_record(last)
    journal.settle()
    orders.finished(accepted)
    _report(last)
    return last


def desk_for(parts: Parts, journal: Journal, settings: EdgeSettings) -> TriggerDesk | None:
    """Where the triggers of one run are taken in; None where the source paces itself."""
    self_paced = parts.source.info.self_paced
    return None if self_paced else TriggerDesk(journal, settings.trigger_window, settings.max_fields)


def not_heard(journal: Journal, run_id: str) -> int:
    """How many records the controller does not hold. Raises `JournalError` when they are no longer where it could read them."""
    if left := journal.next_seq(run_id) - 1 - journal.acknowledged(run_id):
        journal.settle()
    return left


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
