"""What fields look like, beside the cells in them: their colours, whether their scale can be right, and how sharp they are."""

from edge.quality.colour_drift import ColourDrift
from edge.quality.field_colours import FieldColours, colours_of, density
from edge.quality.field_watch import FieldWatch
from edge.quality.focus_score import focus_score
from edge.quality.likeness import alike, look_of
from edge.quality.position_check import PositionCheck
from edge.quality.scale_check import ScaleCheck

__all__ = [
    "ColourDrift",
    "FieldColours",
    "FieldWatch",
    "PositionCheck",
    "ScaleCheck",
    "alike",
    "colours_of",
    "density",
    "focus_score",
    "look_of",
]
