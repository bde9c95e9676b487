"""Thresholds resolved once per run, in the form the post-processing uses."""

from dataclasses import dataclass

import numpy as np

from edge.contracts.bundle import Thresholds
from edge.contracts.cells import N_CLASSES, NAMES
from edge.contracts.detections import Float32


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """`identify` is [N_CLASSES]; `floor` is the lowest class score that can matter: presence is a sum over the classes, so a
    cell at `detect` has at least one class at `detect / N_CLASSES`."""

    detect: float
    identify: Float32
    margin: float
    nms_iou: float
    agnostic_iou: float
    floor: float

    @classmethod
    def of(cls, thresholds: Thresholds) -> "OperatingPoint":
        """Resolve a bundle's or a profile's thresholds."""
        per_class = [thresholds.identify_by_class.get(name, thresholds.identify) for name in NAMES]
        return cls(
            detect=thresholds.detect,
            identify=np.array(per_class, np.float32),
            margin=thresholds.margin,
            nms_iou=thresholds.nms_iou,
            agnostic_iou=thresholds.agnostic_iou,
            floor=thresholds.detect / N_CLASSES,
        )
