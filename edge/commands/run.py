"""`leuko-edge run`: one run for the controller that connects."""

import logging
import os

import typer

from edge.settings import EdgeSettings
from edge.settings.command_line import ConfigOption, Given, takes

_log = logging.getLogger(__name__)


@takes(EdgeSettings)
def run(given: Given, config: ConfigOption = None) -> None:
    """Open a source and a model, wait for a controller, perform one run for it, and exit with the run's outcome.

    Source and model are opened first, so that a mistake is told before anyone waits. Then the controller connects
    (`leuko-edge watch tcp://127.0.0.1:5570` is one), starts the run, receives every record and acknowledges it.

    Every record is on disk before it is sent: a controller can read the run from another edge process with the same journal,
    also when this one was killed. `leuko-edge runs` lists, exports and verifies what is in it.

    Every setting may stand in the file of --config, too, or in the environment as LEUKO_EDGE_ and its name. The command line
    wins over the environment, that over the file, the file over the profile, the profile over the bundle. A bundle that was
    put in the place of the one that these name (`leuko-edge rollout`) serves here, too; a warning says so. SIGINT and SIGTERM
    finish the fields taken in and end the run with run_stop.

    Exit code: 0 the run completed or was stopped; 1 it failed; 2 a setting, 3 the bundle or profile, 4 the source,
    5 the engine, 6 the connection (also when the controller did not acknowledge everything), 8 the journal.
    """
    from edge.doctor.diagnosis_text import findings, question_of
    from edge.pipeline import StopSwitch
    from edge.service.process import log_as_set, set_apart_what_lasts, stop_on_signals
    from edge.service.serve import serve_one_run
    from edge.service.serving_setup import Stated, opened_as_ordered, warnings_of
    from edge.settings import Setup

    switch, stop = Stated(given, config, os.environ).switch(), StopSwitch()

    def tell(setup: Setup) -> None:
        log_as_set(setup.settings)
        for warning in warnings_of(switch, setup):
            _log.warning("%s", warning)

    with stop_on_signals(stop), opened_as_ordered(switch, tell) as (setup, parts):
        set_apart_what_lasts()
        outcome = serve_one_run(setup, parts, stop, lambda: findings(question_of(setup)))
    raise typer.Exit(outcome.exit_code)
