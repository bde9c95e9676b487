"""Whether two executors of one graph count the same cells: their cells, matched image by image, and the differences.

What is compared is what the edge would count: cells after suppression at the bundle's thresholds, under the label they are
counted by. Candidates under the thresholds may differ as they like.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from builder.limits import LIMITS, Measured, judge
from edge.camera.resample import plan_fit
from edge.contracts.bundle import Thresholds
from edge.contracts.detections import Cells, Float32, Image, RawDetections
from edge.contracts.engine_files import ParityResult
from edge.contracts.errors import EngineError, LeukoError
from edge.postprocess import OperatingPoint, field_counts, ious, label_of, postprocess

Indices = NDArray[np.intp]


class Executor(Protocol):
    """Anything that runs a bundle's graph on frames of one size."""

    @property
    def name(self) -> str: ...

    @property
    def is_emulation(self) -> bool: ...

    @property
    def max_batch(self) -> int: ...

    def run(self, frames: Image) -> RawDetections:
        """Rows for frames uint8 [n, H, W, 3], n up to `max_batch`. Raises `EngineError`."""
        ...


def find_cells(
    executor: Executor,
    frames: Image,
    names: Sequence[str],
    thresholds: Thresholds,
    advance: Callable[[int], object] = lambda _: None,
) -> list[Cells]:
    """Cells of each of `frames` uint8 [N, H, W, 3], N >= 1, which need no further fit.

    `advance` is told how many frames were done. Raises `EngineError` naming the image at which the executor fails. A field with
    more candidates than the graph has rows is counted as the edge counts it, and stays marked.
    """
    height, width = frames.shape[1:3]
    plan, point = plan_fit(width, height, 1.0, 1.0, width, height), OperatingPoint.of(thresholds)
    found: list[Cells] = []
    for start in range(0, len(frames), executor.max_batch):
        batch = frames[start : start + executor.max_batch]
        try:
            raw = executor.run(batch)
        except LeukoError as problem:
            raise EngineError(f"at image {names[start]}: {problem}") from problem
        found += [postprocess(_row(raw, k), plan, point) for k in range(len(batch))]
        advance(len(batch))
    return found


def match(a: Float32, b: Float32, min_iou: float) -> tuple[Indices, Indices, Float32]:
    """Pair boxes `a` [n, 4] with `b` [m, 4] so that the sum of IoU is largest, no pair under `min_iou`.

    Returns the indices in `a`, in `b` and the IoU of each pair.
    """
    overlap = ious(a, b)
    # What may not pair must not draw others away from a pair that may.
    usable = np.where(overlap >= min_iou, overlap, np.float32(0))
    rows, columns = linear_sum_assignment(usable, maximize=True)
    pairs = usable[rows, columns] > 0
    return rows[pairs], columns[pairs], overlap[rows[pairs], columns[pairs]]


def count(cells: Sequence[Cells]) -> dict[str, int]:
    """Cells per label over all images, as the edge counts them, most frequent first."""
    total: Counter[str] = Counter()
    for field in cells:
        total.update(field_counts(field))
    return dict(total.most_common())


def compare(reference: Sequence[Cells], candidate: Sequence[Cells], executor: str, *, is_emulation: bool) -> ParityResult:
    """Judge the candidate's cells by the reference's, image by image (equally many), against `LIMITS`."""
    flips = n_pairs = overflow_flips = 0
    overlaps: list[Float32] = [np.zeros(0, np.float32)]
    differences: list[Float32] = [np.zeros(0, np.float32)]
    for ours, theirs in zip(reference, candidate, strict=True):
        rows, columns, overlap = match(ours.boxes_px, theirs.boxes_px, LIMITS["match_iou"])
        n_pairs += len(rows)
        overflow_flips += ours.overflow != theirs.overflow
        flips += sum(label_of(ours, i) != label_of(theirs, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True))
        overlaps.append(overlap)
        differences.append(np.abs(ours.scores[rows] - theirs.scores[columns]))
    overlap, difference = np.concatenate(overlaps), np.concatenate(differences)
    reference_counts, counts = count(reference), count(candidate)
    found = Measured(
        missed=sum(reference_counts.values()) - n_pairs,
        added=sum(counts.values()) - n_pairs,
        label_flips=flips,
        frames=len(reference),
        overflow_flips=overflow_flips,
        p99_score_difference=float(np.percentile(difference, 99)) if n_pairs else 0.0,
        mean_iou=float(overlap.mean(dtype=np.float64)) if n_pairs else 1.0,
        median_iou=float(np.median(overlap)) if n_pairs else 1.0,
        reference_counts=reference_counts,
        counts=counts,
    )
    return ParityResult(
        executor=executor,
        is_emulation=is_emulation,
        cells=sum(counts.values()),
        matched=n_pairs,
        missed=found.missed,
        added=found.added,
        label_flips=flips,
        overflows=sum(field.overflow for field in candidate),
        overflow_flips=overflow_flips,
        max_score_difference=float(difference.max()) if n_pairs else 0.0,
        p99_score_difference=found.p99_score_difference,
        min_iou=float(overlap.min()) if n_pairs else 1.0,
        median_iou=found.median_iou,
        mean_iou=found.mean_iou,
        counts=counts,
        failures=judge(found),
    )


def _row(raw: RawDetections, k: int) -> RawDetections:
    return RawDetections(raw.boxes[k : k + 1], raw.scores[k : k + 1], raw.labels[k : k + 1])
