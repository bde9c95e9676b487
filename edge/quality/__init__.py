"""What fields look like, beside the cells in them: whether their scale can be right, and how sharp they are."""

from edge.quality.focus_score import focus_score
from edge.quality.scale_check import ScaleCheck

__all__ = ["ScaleCheck", "focus_score"]
