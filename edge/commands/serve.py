"""`leuko-edge serve`: run after run, from power-on to power-off."""

import os

from edge.settings import EdgeSettings
from edge.settings.command_line import ConfigOption, Given, takes


@takes(EdgeSettings)
def serve(given: Given, config: ConfigOption = None) -> None:
    """Be there for a controller all day: every RUN_START begins a run, and the next may follow its run_stop at once.

    Camera, engine and journal are opened once. What is wrong with one of them is a FAULT: it is said on the socket, in PONG
    and in `GET /healthz` at --metrics, with what to do, and ends by itself when it is mended; meanwhile the service is reached
    as ever, and records of former runs are delivered. `/readyz` answers 200 while a run can begin or is in progress.

    The settings are those of `leuko-edge run`. A configuration that cannot be used is a fault, too, and is read again until it
    can. `leuko-edge rollout` gives it another bundle from the next run on. What is kept of frames and cells lies in a directory
    for each run. SIGINT and SIGTERM finish the run in progress.

    Where a supervisor started it (systemd with Type=notify, any that sets NOTIFY_SOCKET), it hears when the service is ready,
    how it stands, and a heartbeat that comes with progress. A process that is stuck for `watchdog_s` ends as a whole, with exit
    code 1 and the traceback of every thread on standard error, and is to be started again.

    Exit code: 0 it was stopped; 6 an address cannot be bound, or records that are only in memory were not acknowledged; 8 the
    journal failed and the process was stopped before it was mended.
    """
    from edge.doctor.diagnosis_text import findings, question_of
    from edge.pipeline import StopSwitch
    from edge.service.heartbeat import HEARTBEAT
    from edge.service.process import log_as_can_be, set_apart_what_lasts, stop_on_signals
    from edge.service.serve_runs import serve_runs
    from edge.service.serving_setup import Stated

    stated = Stated(given, config, os.environ)
    reached_by = stated.reach()
    log_as_can_be(reached_by)
    stop = StopSwitch()
    switch = stated.switch()
    with stop_on_signals(stop), HEARTBEAT.during(reached_by.watchdog_s, os.environ):
        serve_runs(
            switch.resolve,
            stated.reach,
            stop,
            lambda setup: findings(question_of(setup)),
            switch=switch,
            all_open=set_apart_what_lasts,
        )
