"""From the graph's candidates to cells: one cell, one label."""

from edge.postprocess.cell_labels import field_counts, label_of
from edge.postprocess.operating_point import OperatingPoint
from edge.postprocess.records import to_records
from edge.postprocess.suppression import postprocess

__all__ = ["OperatingPoint", "field_counts", "label_of", "postprocess", "to_records"]
