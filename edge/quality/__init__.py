"""What fields look like, beside the cells in them: their colours, whether their scale can be right, and how sharp they are."""

from edge.quality.channel_order import ChannelOrder, exchanged, red_of_nuclei
from edge.quality.colour_drift import ColourDrift
from edge.quality.colourless import Colourless
from edge.quality.field_colours import FieldColours, colours_of, density
from edge.quality.field_watch import FieldWatch
from edge.quality.fixed_things import FixedThings
from edge.quality.focus_score import focus_score
from edge.quality.likeness import alike, look_of
from edge.quality.position_check import PositionCheck
from edge.quality.scale_check import ScaleCheck
from edge.quality.unknown_colours import UnknownColours

__all__ = [
    "ChannelOrder",
    "ColourDrift",
    "Colourless",
    "FieldColours",
    "FieldWatch",
    "FixedThings",
    "PositionCheck",
    "ScaleCheck",
    "UnknownColours",
    "alike",
    "colours_of",
    "density",
    "exchanged",
    "focus_score",
    "look_of",
    "red_of_nuclei",
]
