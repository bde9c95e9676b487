"""One run: frames in, records out, every trigger accounted for."""

from edge.pipeline.local_run import records_of, run_fields
from edge.pipeline.parts import Parts, engine_for, keeping, opened
from edge.pipeline.run import Run
from edge.pipeline.run_control import StopSwitch

__all__ = ["Parts", "Run", "StopSwitch", "engine_for", "keeping", "opened", "records_of", "run_fields"]
