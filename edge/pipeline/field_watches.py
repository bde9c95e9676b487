"""All that looks at a run's fields beside the model, and tells the run what it should say."""

from dataclasses import dataclass

from edge.camera.frame import Frame, SourceNote
from edge.contracts.detections import Image
from edge.contracts.records import FieldQuality
from edge.postprocess import Findings
from edge.quality import (
    ChannelOrder,
    ColourDrift,
    FieldWatch,
    FixedThings,
    PositionCheck,
    ScaleCheck,
    UnknownColours,
)


@dataclass(slots=True)
class FieldWatches:
    """Each is told of every field. For one thread."""

    scale: ScaleCheck
    channels: ChannelOrder
    colours: ColourDrift | UnknownColours | None
    fixed: FixedThings
    quality: FieldWatch
    positions: PositionCheck
    _suggestion: str = ""

    def look(self, trigger_id: str, bgr: Image) -> None:
        """At the pixels as the camera gave them, before they are let go of."""
        self.scale.look(trigger_id, bgr)
        if self.colours is not None:
            self.colours.look(trigger_id, bgr)
        self.channels.look(bgr)
        self.fixed.look(trigger_id, bgr)
        self.quality.look(trigger_id, bgr)
        self.positions.look(trigger_id, bgr)

    def quality_of(self, frame: Frame) -> FieldQuality | None:
        """How the field came out, asked once and before `counted`."""
        drift = self.colours.of(frame.trigger_id) if self.colours is not None else None
        judged = self.quality.judged(frame.trigger_id, frame.field_index, drift)
        self._suggestion = judged.sentence
        return judged.quality

    def counted(self, frame: Frame, findings: Findings) -> tuple[SourceNote, ...]:
        """What was found in a field is certain. Returns what the run should be told."""
        self.scale.counted(frame.trigger_id, findings)
        fixed = self.fixed.counted(frame.trigger_id, findings.detections)
        mixed = self.channels.sentence()
        suggested, self._suggestion = self._suggestion, ""
        notes = (
            scale_note(self.scale),
            SourceNote("channels_exchanged", mixed, "warning", doubt=mixed) if mixed else None,
            self.colours.note() if self.colours is not None else None,
            SourceNote("fixed_thing", fixed, "warning", doubt=fixed) if fixed else None,
            SourceNote("reimage_suggested", suggested, "warning", field_index=frame.field_index) if suggested else None,
        )
        return tuple(note for note in notes if note is not None)


def scale_note(scale: ScaleCheck, *, is_last: bool = False) -> SourceNote | None:
    """What the run should be told of its um/px, if anything. `is_last`: no field comes any more."""
    said = scale.contradiction(is_last=is_last)
    return SourceNote("scale_contradicted", said, "warning", doubt=said) if said else None
