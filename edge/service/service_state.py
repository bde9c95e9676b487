"""The states of a service, and which may follow which.

A run in progress is shown as RUNNING, and as DRAINING while it ends, whatever is said here (`RunOrders`): what is wrong
meanwhile is the run's to say. Here is what holds between the runs.
"""

import logging
from collections.abc import Callable

from edge.pipeline.run_control import ServiceState, Standing
from edge.service.heartbeat import HEARTBEAT

_MAY_FOLLOW: dict[ServiceState, tuple[ServiceState, ...]] = {
    "BOOT": ("READY", "FAULT", "DRAINING"),
    "READY": ("BOOT", "FAULT", "DRAINING"),
    "FAULT": ("READY", "DRAINING"),
    "DRAINING": (),
}
_log = logging.getLogger(__name__)


class ServiceStates:
    """Where the service stands; `tell` is given every change. Belongs to the thread of the main function."""

    def __init__(self, tell: Callable[[Standing], None]) -> None:
        self._tell = tell
        self.now = Standing("BOOT", "camera, engine and journal are being opened.")
        tell(self.now)
        HEARTBEAT.tells(self.now.state, self.now.reason)

    def found(self, trouble: str) -> None:
        """What a look at everything that a run needs has found: READY when it is nothing."""
        self._become(Standing("FAULT", trouble) if trouble else Standing("READY"))

    def reopens(self, what: str) -> None:
        """Something that is in order is opened anew; no run is taken meanwhile."""
        self._become(Standing("BOOT", what))

    def ends(self, why: str) -> None:
        """The process takes no further run."""
        self._become(Standing("DRAINING", f"this edge is ending ({why}); start it again for another run."))

    def _become(self, after: Standing) -> None:
        before, self.now = self.now, after
        if after == before:
            return
        if after.state != before.state and after.state not in _MAY_FOLLOW[before.state]:
            raise ValueError(f"{after.state} cannot follow {before.state}")
        if after.state == "FAULT":
            _log.error("FAULT: %s", after.reason)
        elif after.state != before.state:
            _log.info("%s%s", after.state, f": {after.reason}" if after.reason else "")
        self._tell(after)
        HEARTBEAT.tells(after.state, after.reason)
