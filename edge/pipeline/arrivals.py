"""What comes from the grabbing thread: fields, notes of the source, and the end."""

from dataclasses import dataclass
from typing import Literal

from edge.camera.frame import Frame, SourceNote
from edge.contracts.records import RunOutcome


@dataclass(frozen=True, slots=True)
class Arrival:
    """One trigger's frame; `skipped` says why it will not be processed, and is empty when it will be."""

    frame: Frame
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class AdviceNote:
    """Something the scanner should be told; becomes an `advice` of the run."""

    advice: Literal["pause", "resume", "stop"]
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """Why no further frame will come."""

    outcome: RunOutcome
    detail: str = ""


Note = SourceNote | AdviceNote
News = Arrival | Note | Ending
