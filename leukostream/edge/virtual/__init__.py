"""A procedural blood smear with exact ground truth."""

from leukostream.edge.virtual.atlas import CellAtlas, Sprite
from leukostream.edge.virtual.stain import Stain, draw_stain

__all__ = ["CellAtlas", "Sprite", "Stain", "draw_stain"]
