"""What fields look like, beside the cells in them: whether their scale can be right."""

from edge.quality.scale_check import ScaleCheck

__all__ = ["ScaleCheck"]
