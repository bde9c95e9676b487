"""Running counts and the differential with its limits."""

from leukostream.edge.counting.differential import differential
from leukostream.edge.counting.running import RunningCounts

__all__ = ["RunningCounts", "differential"]
