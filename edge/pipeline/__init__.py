"""One run: frames in, records out, every trigger accounted for."""

from edge.pipeline.parts import Parts, engine_for, opened
from edge.pipeline.run import Run, run_fields
from edge.pipeline.run_control import StopSwitch

__all__ = ["Parts", "Run", "StopSwitch", "engine_for", "opened", "run_fields"]
