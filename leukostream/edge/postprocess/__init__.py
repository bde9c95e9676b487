"""From the graph's candidates to cells: one cell, one label."""

from leukostream.edge.postprocess.labels import field_counts, label_of
from leukostream.edge.postprocess.operating import OperatingPoint
from leukostream.edge.postprocess.records import to_records
from leukostream.edge.postprocess.suppress import postprocess

__all__ = ["OperatingPoint", "field_counts", "label_of", "postprocess", "to_records"]
