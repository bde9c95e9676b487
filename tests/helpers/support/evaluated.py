"""Images as an evaluation sees them, written down cell by cell."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge.contracts.detections import Cells
from trainer.data.annotation import Annotation
from trainer.evaluation.average_precision import Judged
from trainer.evaluation.detect import ImageResult

A, B, FAR = (0, 0, 60, 60), (100, 100, 160, 160), (200, 200, 260, 260)
"""Three boxes that do not touch, in px; 7.8 um at 0.13 um/px."""

Box = tuple[float, float, float, float]
Found = tuple[Box, float, int]
"""A box, its score and its class; a negative score is one that stays unidentified."""


def judged(found: Sequence[Found], truth: Sequence[tuple[Box, int]]) -> Judged:
    """Detections and truth of one image."""
    return Judged(
        np.array([row[0] for row in found], np.float32).reshape(-1, 4),
        np.array([abs(row[1]) for row in found], np.float32),
        np.array([row[2] for row in found], np.int32),
        np.array([row[0] for row in truth], np.float32).reshape(-1, 4),
        np.array([row[1] for row in truth], np.int32),
    )


def result(
    found: Sequence[Found],
    truth: Sequence[tuple[Box, int]],
    *,
    seen: Sequence[Found] = (),
    original: str = "one",
    times_ms: tuple[float, float] | None = None,
    um_per_px: float = 0.13,
    path: Path = Path("one.png"),
) -> ImageResult:
    """One image. `seen` is below the presence threshold: in the curves, never counted."""
    all_seen = judged([*found, *seen], truth)
    cells = judged(found, truth)
    n = len(cells.boxes)
    counted = Cells(
        boxes_px=cells.boxes,
        presence=cells.scores,
        scores=cells.scores,
        classes=cells.labels,
        runner_up=np.full(n, -1, np.int32),
        margins=cells.scores,
        identified=np.array([row[1] > 0 for row in found], np.bool_),
    )
    annotation = Annotation(path, 400, 300, um_per_px, cells.truth_boxes, cells.truth_labels, "LAB", original, "test")
    engine_ms, whole_ms = times_ms or (None, None)
    return ImageResult(annotation, all_seen, all_seen, counted, "stand-in", engine_ms, whole_ms)
