"""Whether two executors of one graph count the same cells: their cells, matched image by image, and the limits for them.

What is compared is what the edge would count: cells after suppression at the bundle's thresholds, under the label they are
counted by. Candidates under the thresholds may differ as they like.

The limits are data. Measured beside them: the FP16 emulation of yolov3-tiny-416 against its reference, on 914 real images (932
cells) and 200 drawn fields (956 cells); and what weights rounded to fewer bits than FP16's 11 give on 364 of the real ones.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from builder.executors import Executor
from edge.camera.resample import plan_fit
from edge.contracts.bundle import Thresholds
from edge.contracts.detections import Cells, Float32, Image, RawDetections
from edge.contracts.engine_files import ParityResult
from edge.contracts.errors import EngineError, LeukoError
from edge.postprocess import OperatingPoint, field_counts, ious, label_of, postprocess

Indices = NDArray[np.intp]
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Limit:
    """One row: its key in a report, the value, and why it is that."""

    name: str
    value: float
    why: str


TABLE = (
    Limit("min_cells", 200, "a slide's differential counts 200: fewer cells cannot show a difference that one would show"),
    Limit("match_iou", 0.5, "from this overlap on suppression calls two boxes one cell"),
    Limit("max_missed_or_added_share", 0.01, "emulation 0 of 1888; weights of 4 bits 4.0 %"),
    Limit("max_label_flips_share", 0.02, "emulation 1 of 1888; weights of 8 bits 0.8 %, of 6 bits 3.0 %, of 4 bits 15 %"),
    Limit("max_overflow_flips_share", 0.01, "of the frames; emulation 0 of 1114, where 12 drawn ones overflow"),
    Limit(
        "max_p99_score_difference",
        0.02,
        "a fifth of the margin (0.10) that tells a label from `unidentified`; emulation 0.002, weights of 6 bits 0.04; "
        "deeper networks than the tiny one had four times its error",
    ),
    Limit("min_median_iou", 0.99, "emulation 0.9998; boxes moved by one pixel to the right 0.98"),
    Limit(
        "min_mean_iou",
        0.90,
        "a cell is boxed by its prior of highest presence, and many saturate at 1: rounding picks another for up to every "
        "eighth cell, at an IoU near 0.8 (emulation 0.975 to 0.997, lowest pair 0.66); boxes moved by three pixels 0.88",
    ),
    Limit("differential_cells", 200, "a class's share may move within the 95 % limits of such a count, which hide it anyway"),
)
LIMITS: dict[str, float] = {limit.name: limit.value for limit in TABLE}


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


def compare(
    reference: Sequence[Cells],
    candidate: Sequence[Cells],
    executor: str,
    *,
    is_emulation: bool,
    limits: Mapping[str, float] = LIMITS,
) -> ParityResult:
    """Judge the candidate's cells by the reference's, image by image (equally many), against `limits`."""
    flips = n_pairs = overflow_flips = 0
    overlaps: list[Float32] = [np.zeros(0, np.float32)]
    differences: list[Float32] = [np.zeros(0, np.float32)]
    for ours, theirs in zip(reference, candidate, strict=True):
        rows, columns, overlap = match(ours.boxes_px, theirs.boxes_px, limits["match_iou"])
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
        failures=judge(found, limits),
        undecided=too_few(found, limits),
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What `judge` looks at. Shares are of the reference's cells; counts are per label as the edge counts."""

    missed: int
    added: int
    label_flips: int
    frames: int
    overflow_flips: int
    p99_score_difference: float
    mean_iou: float
    median_iou: float
    reference_counts: Mapping[str, int]
    counts: Mapping[str, int]


def share_limits(share: float, differential_cells: int) -> tuple[float, float]:
    """Exact binomial (Clopper-Pearson) 95 % limits of a class's share in a count of `differential_cells`, of which `share`,
    rounded to whole cells, is that class."""
    counted = binomtest(round(differential_cells * share), differential_cells)
    limits = counted.proportion_ci(CONFIDENCE, method="exact")
    return float(limits.low), float(limits.high)


def judge(found: Measured, limits: Mapping[str, float] = LIMITS) -> tuple[str, ...]:
    """One sentence part per limit that was not kept; empty when all were.

    Of fewer cells than are needed, only what so few cannot hide: shares whose lower 95 % limit is over what is allowed.
    """
    reference = sum(found.reference_counts.values())
    if too_few(found, limits):
        return tuple(_certain_even_so(found, limits))
    failures = []
    changed, flipped = (found.missed + found.added) / reference, found.label_flips / reference
    if changed > limits["max_missed_or_added_share"]:
        failures.append(
            f"{found.missed} cells missed and {found.added} added are {changed:.2%} of {reference}, "
            f"over {limits['max_missed_or_added_share']:.2%}"
        )
    if flipped > limits["max_label_flips_share"]:
        failures.append(
            f"{found.label_flips} cells under another label are {flipped:.2%} of {reference}, "
            f"over {limits['max_label_flips_share']:.2%}"
        )
    if found.overflow_flips > limits["max_overflow_flips_share"] * found.frames:
        failures.append(
            f"{found.overflow_flips} of {found.frames} frames have more candidates than rows for one of the two only, "
            f"over {limits['max_overflow_flips_share']:.2%}"
        )
    if found.p99_score_difference > limits["max_p99_score_difference"]:
        failures.append(
            f"99 % of the scores lie within {found.p99_score_difference:.4f}, over {limits['max_p99_score_difference']:.4f}"
        )
    for name, value in (("median", found.median_iou), ("mean", found.mean_iou)):
        limit = limits[f"min_{name}_iou"]
        if value < limit:
            failures.append(f"the {name} IoU of boxes is {value:.4f}, under {limit:.4f}")
    return (*failures, *_judge_shares(found, int(limits["differential_cells"])))


def too_few(found: Measured, limits: Mapping[str, float] = LIMITS) -> str:
    """Why nothing can be decided, as a sentence part; empty when there are cells enough."""
    reference = sum(found.reference_counts.values())
    if reference >= limits["min_cells"]:
        return ""
    few = "no cell" if not reference else f"only {reference} cell{'s' * (reference > 1)}"
    return f"the reference finds {few} where {limits['min_cells']:g} are needed"


def _certain_even_so(found: Measured, limits: Mapping[str, float]) -> Iterator[str]:
    reference = sum(found.reference_counts.values())
    other_cells = f"{found.missed} cells missed and {found.added} added"
    shares = (
        (found.missed + found.added, limits["max_missed_or_added_share"], other_cells),
        (found.label_flips, limits["max_label_flips_share"], f"{found.label_flips} cells under another label"),
    )
    for changed, limit, what in shares:
        total = max(reference, changed)
        if total and binomtest(changed, total).proportion_ci(CONFIDENCE, method="exact").low > limit:
            yield f"{what} where the reference has {reference}, which is over {limit:.2%} however few these are"


def _judge_shares(found: Measured, differential_cells: int) -> list[str]:
    """A change of one cell in such a differential is never held against a class: the limits of 1 in 200 begin above 0, and a
    single cell of a rare class would decide."""
    reference, total = sum(found.reference_counts.values()), max(1, sum(found.counts.values()))
    failures = []
    for label in sorted({*found.reference_counts, *found.counts}):
        before, after = found.reference_counts.get(label, 0) / reference, found.counts.get(label, 0) / total
        low, high = share_limits(before, differential_cells)
        if not low <= after <= high and abs(after - before) * differential_cells > 1:
            failures.append(
                f"{label} are {after:.1%} of the cells where the reference has {before:.1%}, outside the {low:.1%} to "
                f"{high:.1%} of a count of {differential_cells}"
            )
    return failures


def _row(raw: RawDetections, k: int) -> RawDetections:
    return RawDetections(raw.boxes[k : k + 1], raw.scores[k : k + 1], raw.labels[k : k + 1])
