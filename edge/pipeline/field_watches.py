"""All that looks at a run's fields beside the model, and tells the run what it should say."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from edge.camera.frame import Frame, SourceNote
from edge.contracts.detections import Image
from edge.contracts.records import FieldQuality
from edge.postprocess import Findings
from edge.quality import (
    ChannelOrder,
    ColourDrift,
    Colourless,
    FieldWatch,
    FixedThings,
    PositionCheck,
    ScaleCheck,
    UnknownColours,
)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
Notes = tuple[SourceNote, ...]
_NOTHING: Notes = ()


@dataclass(slots=True)
class FieldWatches:
    """Each is told of every field. For one thread.

    None of them may cost a field its cells: after a defect nothing is looked at any more, and the run says so.
    """

    scale: ScaleCheck
    colourless: Colourless
    channels: ChannelOrder
    colours: ColourDrift | UnknownColours | None
    fixed: FixedThings
    quality: FieldWatch
    positions: PositionCheck
    _suggestion: str = ""
    _failed: bool = False
    _untold: SourceNote | None = None

    def look(self, trigger_id: str, bgr: Image) -> None:
        """At the pixels as the camera gave them, before they are let go of."""
        self._safely(partial(self._look, trigger_id, bgr), None)

    def quality_of(self, frame: Frame) -> FieldQuality | None:
        """How the field came out, asked once and before `counted`."""
        return self._safely(partial(self._quality_of, frame), None)

    def counted(self, frame: Frame, findings: Findings) -> Notes:
        """What was found in a field is certain. Returns what the run should be told."""
        return (*self._safely(partial(self._counted, frame, findings), _NOTHING), *self._of_failure())

    def ended(self, frame: Frame, *, is_retake: bool) -> Notes:
        """A field has its end, with or without a picture. Returns what the run should be told of its place."""
        return (*self._safely(partial(self._ended, frame, is_retake), _NOTHING), *self._of_failure())

    def at_end(self) -> Notes:
        """No field comes any more: what is judged by what there was. Waits for what is measured beside the run."""
        return (*self._safely(self._at_end, _NOTHING), *self._of_failure())

    def _look(self, trigger_id: str, bgr: Image) -> None:
        self.scale.look(trigger_id, bgr)
        if self.colours is not None:
            self.colours.look(trigger_id, bgr)
        self.colourless.look(bgr)
        self.channels.look(bgr)
        self.fixed.look(trigger_id, bgr)
        self.quality.look(trigger_id, bgr)
        self.positions.look(trigger_id, bgr)

    def _quality_of(self, frame: Frame) -> FieldQuality | None:
        drift = self.colours.of(frame.trigger_id) if self.colours is not None else None
        judged = self.quality.judged(frame.trigger_id, frame.field_index, drift)
        self._suggestion = judged.sentence
        return judged.quality

    def _ended(self, frame: Frame, is_retake: bool) -> Notes:
        return tuple(self.positions.ended(frame.trigger_id, frame.field_index, frame.stage_nm, is_retake=is_retake))

    def _counted(self, frame: Frame, findings: Findings) -> Notes:
        self.scale.counted(frame.trigger_id, findings)
        fixed = self.fixed.counted(frame.trigger_id, findings.detections)
        suggested, self._suggestion = self._suggestion, ""
        notes = (
            *self._of_run(is_last=False),
            SourceNote("fixed_thing", fixed, "warning", doubt=fixed) if fixed else None,
            SourceNote("reimage_suggested", suggested, "warning", field_index=frame.field_index) if suggested else None,
        )
        return tuple(note for note in notes if note is not None)

    def _at_end(self) -> Notes:
        told = tuple(note for note in self._of_run(is_last=True) if note is not None)
        unchecked = self.scale.unchecked
        return (*told, SourceNote("scale_unchecked", unchecked)) if unchecked else told

    def _of_run(self, *, is_last: bool) -> tuple[SourceNote | None, ...]:
        wrong = self.scale.contradiction(is_last=is_last)
        grey, mixed = self.colourless.sentence(is_last=is_last), self.channels.sentence(is_last=is_last)
        return (
            SourceNote("scale_contradicted", wrong, "warning", doubt=wrong) if wrong else None,
            SourceNote("no_colour", grey, "warning", doubt=grey) if grey else None,
            SourceNote("channels_exchanged", mixed, "warning", doubt=mixed) if mixed else None,
            self.colours.note(is_last=is_last) if self.colours is not None else None,
            *(SourceNote("fields_bad", said, "warning", doubt=said) for said in self.quality.of_run(is_last=is_last)),
        )

    def _of_failure(self) -> Notes:
        told, self._untold = self._untold, None
        return (told,) if told is not None else ()

    def _safely(self, work: Callable[[], _T], otherwise: _T) -> _T:
        if self._failed:
            return otherwise
        try:
            return work()
        except Exception as problem:  # noqa: BLE001 whatever it is, it is no reason to lose a field
            self._failed = True
            said = (
                f"what looks at fields beside the model has failed by a defect ({type(problem).__name__}: {problem}): cells "
                "are counted as ever, but from here on nothing is said of um/px, colours, dirt, places, or how a field came "
                "out; report it with the log."
            )
            _log.exception("%s", said)
            self._untold = SourceNote("watch_failed", said, "warning", doubt=said)
            return otherwise
