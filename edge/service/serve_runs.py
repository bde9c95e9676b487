"""The main function of a service: reachable from the start, it looks after what runs need, and performs one after the other."""

import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing

from edge.contracts.about_edge import Finding
from edge.contracts.errors import ConfigError, LeukoError, StreamError
from edge.contracts.records import RunOutcome
from edge.journal.journal_slot import JournalSlot
from edge.pipeline import Parts, StopSwitch, keeping, opened
from edge.pipeline.run_orders import AcceptedRun, RunOrders
from edge.pipeline.trigger_desk import TriggerDesk
from edge.service.bundle_switch import BundleSwitch
from edge.service.front import Front
from edge.service.self_report import Doctor
from edge.service.serve import WAIT_S, desk_for, not_heard, perform_run
from edge.service.service_state import ServiceStates
from edge.service.station import Readdressed, Station
from edge.settings import IN_MEMORY, EdgeSettings, Setup

DoctorOf = Callable[[Setup], tuple[Finding, ...]]
MANY = 2**53 - 1
"""Runs that one process performs, as WELCOME says it: as many as come."""
_log = logging.getLogger(__name__)


def serve_runs(
    resolve: Callable[[], Setup],
    reach: Callable[[], EdgeSettings],
    stop: StopSwitch,
    doctor: DoctorOf | None = None,
    opened_parts: Callable[[Setup], AbstractContextManager[Parts]] = opened,
    switch: BundleSwitch | None = None,
    all_open: Callable[[], None] = lambda: None,
) -> None:
    """Perform runs until the stop. `resolve` reads all settings and what they rest on, `reach` as many as can be had although
    something is wrong with others: by them this process is reached. With `switch`, which `resolve` reads by, another bundle is
    taken between two runs. `all_open` is called before the service is ready with a camera and an engine that were opened.

    Raises `StreamError` when an address cannot be bound, when the stream ends by a defect, and when records that are only in
    memory were not acknowledged in time.
    """
    while not stop.requested:
        try:
            _serve_at(reach(), resolve, stop, doctor, opened_parts, switch, all_open)
        except Readdressed:
            _log.warning("the configuration was mended and has other addresses or another journal: the service begins anew")


def _serve_at(
    settings: EdgeSettings,
    resolve: Callable[[], Setup],
    stop: StopSwitch,
    doctor: DoctorOf | None,
    opened_parts: Callable[[Setup], AbstractContextManager[Parts]],
    switch: BundleSwitch | None,
    all_open: Callable[[], None],
) -> None:
    boot_id = str(uuid.uuid4())
    journal = JournalSlot("the journal was not opened yet.")
    station = Station(resolve, settings, journal, boot_id, opened_parts, switch, all_open)
    with ExitStack() as held:
        # Be reachable first, so that whatever is wrong can be told.
        orders = RunOrders(stop, journal, lambda: _desk(station, journal), station.refusal)
        states = ServiceStates(orders.stands)
        front = held.enter_context(Front(settings, journal, orders, boot_id, _doctor(station, doctor), runs=MANY))
        held.enter_context(closing(station))
        front.say_where()

        while not stop.requested:
            # Look after what a run needs. Nothing is closed while an order could come.
            is_ready = states.now.state == "READY"
            front.beat(opening=not is_ready)
            states.found(station.look() if is_ready else station.mend())
            front.shows(station.setup, station.parts)

            # Take an order: none comes but to a service that was ready.
            accepted = orders.wait_for_start(WAIT_S)
            if accepted is None and states.now.state == "READY" and (due := station.due()) is not None:
                states.reopens(due.what)
                front.beat(opening=True)
                accepted = orders.wait_for_start(0.0)  # one that came before this was said
                if accepted is None:
                    due.act()
            if accepted is None:
                station.keep_warm()
                front.check_alive()
                continue

            # Perform its run. What it has not been acknowledged of stays deliverable, and the next may begin.
            _perform(accepted, station, journal, orders, front)
            station.used()

        # End: stay until a controller holds what this process has recorded.
        states.ends(stop.requested)
        front.server.close(settings.ack_timeout_s)
        left = 0 if journal.absent else sum(not_heard(journal, run_id) for run_id in orders.own_runs())
    if left and settings.journal == IN_MEMORY:
        raise StreamError(f"{left} records were not acknowledged and are lost with this process; use --journal FILE.")
    if left:
        _log.warning("%d records were not acknowledged; they stay in %s for the next start", left, settings.journal)


def _perform(accepted: AcceptedRun, station: Station, journal: JournalSlot, orders: RunOrders, front: Front) -> None:
    desk, (setup, parts) = accepted.desk, station.optics.of(accepted.order.profile)
    try:
        with keeping(parts, setup.settings, accepted.run_id) as parts_of_run:
            perform_run(accepted, setup, parts_of_run, journal, orders, front)
        if orders.standing.state == "FAULT":
            station.spoilt(orders.standing.reason)
    except LeukoError as problem:
        _log.error("run %s has no end on record: %s", accepted.run_id, problem)
        station.spoilt(str(problem))
        accepted.stop.stop(str(problem), RunOutcome.FAILED)
        if desk is not None:
            desk.close(str(problem))
    finally:
        orders.finished(accepted)


def _desk(station: Station, journal: JournalSlot) -> TriggerDesk | None:
    setup, parts = station.setup, station.parts
    return desk_for(parts, journal, setup.settings) if setup is not None and parts is not None else None


def _doctor(station: Station, doctor: DoctorOf | None) -> Doctor | None:
    if doctor is None:
        return None

    def diagnose() -> tuple[Finding, ...]:
        if station.setup is None:
            raise ConfigError("the configuration cannot be used, and without it nothing can be diagnosed")
        return doctor(station.setup)

    return diagnose
