"""What a scanner has in its hands beside the connection: a stage, a trigger line, and a reason to stop."""

from typing import Literal, Protocol

from edge.contracts.records import Record, StagePosition
from edge.contracts.run_order import RunOrder

Mishap = Literal["disconnect", "stall", "restart"]
"""What goes wrong with a scanner itself."""


class Rig(Protocol):
    """A scanner asks it for every field, in the order of their indices; a field may be asked for again after a reconnection."""

    def order(self) -> RunOrder | None:
        """What RUN_START orders, for a run that begins now."""
        ...

    def stage_of(self, field_index: int) -> StagePosition:
        """Move there; the position as the stage says it. The same for a field each time."""
        ...

    def pulse(self, field_index: int) -> None:
        """The edge has accepted the trigger: expose."""
        ...

    def mishap(self) -> Mishap | None:
        """What goes wrong with the scanner at this moment, each once."""
        ...

    def has_enough(self, record: Record) -> bool:
        """Whether no further field is wanted, with this record."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether that was said before."""
        ...


class StraightLine:
    """A stage that goes on in steps, and nothing else: who plays with an edge whose camera needs no pulse."""

    is_done = False

    def __init__(self, step_um: float) -> None:
        self._step_nm = round(step_um * 1000)

    def order(self) -> RunOrder | None:
        return None

    def stage_of(self, field_index: int) -> StagePosition:
        return StagePosition(x_nm=field_index * self._step_nm, y_nm=0)

    def pulse(self, field_index: int) -> None:
        """The camera of such an edge exposes by itself."""

    def mishap(self) -> Mishap | None:
        return None

    def has_enough(self, record: Record) -> bool:
        return False
