"""How a field can end. Every trigger ends in exactly one of these; at the end of a run the sums must match."""

from enum import Enum


class FieldStatus(str, Enum):
    """Terminal status of one trigger. Late, extra and duplicate frames are events, never statuses."""

    OK = "ok"
    """processed, at least one cell over threshold"""
    EMPTY = "empty"
    """processed, no cell over threshold"""
    LOST = "lost"
    """the frame never came: camera counter or link"""
    INCOMPLETE = "incomplete"
    """the frame came damaged from the camera"""
    FAILED = "failed"
    """the frame could not be read or processed; never the same as zero cells"""
    TIMEOUT = "timeout"
    """its deadline passed"""
    SKIPPED = "skipped"
    """dropped by policy or by a stop"""


class RunOutcome(str, Enum):
    """How a run ended; `exit_code` is what `leuko-edge run` returns."""

    COMPLETED = "completed"
    """the source ended or the asked number of fields was reached"""
    STOPPED = "stopped"
    """the controller or the operator stopped it; everything taken in was accounted for"""
    FAILED = "failed"
    """source, engine or ledger failed; the detail says which"""
    INTERRUPTED = "interrupted"
    """the edge itself went down in mid-run"""

    @property
    def exit_code(self) -> int:
        return {"completed": 0, "stopped": 0, "failed": 1, "interrupted": 1}[self.value]
