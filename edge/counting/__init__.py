"""Running counts and the differential with its limits."""

from edge.counting.counts import differential
from edge.counting.running import RunningCounts

__all__ = ["RunningCounts", "differential"]
