"""What every serving process has around its main function: a log, and signals that end it in good order.

The first SIGINT, SIGTERM or SIGHUP ends the run,
a further SIGINT or SIGTERM the process. A further SIGHUP does nothing: who closes a terminal sends several, and systemd sends
one after its SIGTERM. Nor does one that comes with the first: `timeout` sends its own twice.
"""

import gc
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from edge.contracts.choices import LogFormat
from edge.contracts.errors import ConfigError
from edge.contracts.interruption import FurtherSignals
from edge.pipeline.run_control import StopSwitch
from edge.service.log_lines import log_handlers
from edge.settings import EdgeSettings

_log = logging.getLogger(__name__)


def set_up_logging(
    level: str, file: Path | None = None, form: LogFormat = "text", file_mb: float = 10.0, files: int = 5
) -> None:
    """Send this process's log where the user wants it. Raises `ConfigError` when the file cannot be written."""
    logging.basicConfig(level=level.upper(), handlers=log_handlers(form, file, file_mb, files), force=True)


def log_as_set(settings: EdgeSettings) -> None:
    """The same, as the settings say."""
    set_up_logging(settings.log_level, settings.log_file, settings.log_format, settings.log_file_mb, settings.log_files)


def log_as_can_be(settings: EdgeSettings) -> None:
    """The same for a service, which is not to stay away for its log's sake: without the file where that cannot be written."""
    try:
        log_as_set(settings)
    except ConfigError as problem:
        log_as_set(settings.model_copy(update={"log_file": None}))
        _log.error("there is no log but this one: %s", problem)


@contextmanager
def stop_on_signals(stop: StopSwitch) -> Iterator[None]:
    """Within, a first signal throws the switch, and a further one ends the process. Main thread only."""
    further = FurtherSignals()

    def handle(number: int, _: FrameType | None) -> None:
        stop.stop(f"{signal.Signals(number).name} was received")
        further.end_the_process()

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM, *hang_up())}
    try:
        yield
    finally:
        further.close()
        for each, handler in before.items():
            signal.signal(each, handler)


def set_apart_what_lasts() -> None:
    """The garbage collector no longer looks through what is open by now, only through what comes: model, settings and libraries
    are hundreds of thousands of objects, and while it looks through them no thread of this process gets on.

    To be called once all is open, and again once something was opened anew: what has gone meanwhile is collected then.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def hang_up() -> tuple[signal.Signals, ...]:
    """SIGHUP, unless this process was started so that it outlives its terminal (nohup)."""
    return () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
