"""A procedural blood smear with exact ground truth."""

from edge.virtual.atlas import MARGIN_PX, PLATELET, RED_CELL, CellAtlas, Sprite
from edge.virtual.settings import NORMAL_MIX, UM_PER_PX, SlideSettings
from edge.virtual.slide import JUDGED_FRACTION, VirtualField, VirtualSlide
from edge.virtual.stain import Stain, draw_stain

__all__ = [
    "JUDGED_FRACTION",
    "MARGIN_PX",
    "NORMAL_MIX",
    "PLATELET",
    "RED_CELL",
    "UM_PER_PX",
    "CellAtlas",
    "SlideSettings",
    "Sprite",
    "Stain",
    "VirtualField",
    "VirtualSlide",
    "draw_stain",
]
