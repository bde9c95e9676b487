"""One run: frames in, records out, every trigger accounted for."""

from leukostream.edge.pipeline.opening import Opened, engine_for, opened, run_fields
from leukostream.edge.pipeline.run import Run
from leukostream.edge.pipeline.stop import StopSwitch

__all__ = ["Opened", "Run", "StopSwitch", "engine_for", "opened", "run_fields"]
