"""Struct of arrays for what an engine and the post-processing return."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Bool = NDArray[np.bool_]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RawDetections:
    """The graph's three outputs for one batch.

    boxes [N, K, 4] float32: x1 y1 x2 y2 in pixels of the graph's frame; scores [N, K] float32, descending;
    labels [N, K] int32. The same prior may appear with several labels.
    """

    boxes: Float32
    scores: Float32
    labels: Int32


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells of one field after suppression: one row per cell, sorted by presence, descending.

    boxes_px [n, 4] float32 in pixels of the original frame; presence, scores, margins [n] float32;
    classes [n] int32 best class; runner_up [n] int32, -1 when there is none; identified [n] bool: the best class is certain
    enough to be the label.
    """

    boxes_px: Float32
    presence: Float32
    scores: Float32
    classes: Int32
    runner_up: Int32
    margins: Float32
    identified: Bool
    overflow: bool = False

    def __len__(self) -> int:
        return len(self.boxes_px)
