"""From the graph's candidates to cells: one cell, one label."""

from edge.postprocess.findings import Findings, field_counts, label_of, to_detections
from edge.postprocess.operating_point import OperatingPoint
from edge.postprocess.suppression import ious, postprocess

__all__ = ["Findings", "OperatingPoint", "field_counts", "ious", "label_of", "postprocess", "to_detections"]
