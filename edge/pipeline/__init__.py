"""One run: frames in, records out, every trigger accounted for."""

from edge.pipeline.parts import Opened, engine_for, opened, run_fields
from edge.pipeline.run import Run
from edge.pipeline.stop import StopSwitch

__all__ = ["Opened", "Run", "StopSwitch", "engine_for", "opened", "run_fields"]
