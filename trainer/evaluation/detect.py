"""A model's detections on annotated images, by the edge's own way: fit, engine, post-processing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from types import MappingProxyType, TracebackType

import cv2
import numpy as np
from tqdm import tqdm

from edge.camera.correction import Correction
from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.cells import CELLS
from edge.contracts.detections import Cells, Image, RawDetections
from edge.pipeline.one_image import ImageEngines, infer
from edge.postprocess import OperatingPoint, postprocess
from trainer.data.annotation import IGNORE, Annotation
from trainer.data.source_files import read_image
from trainer.evaluation.average_precision import Judged
from trainer.evaluation.target import Target

MIN_SCORE = 0.005
"""Rows below this cannot change average precision visibly, and are many."""

CANDIDATE_FLOOR = 0.02
"""Presence from which a cell enters the curve of any leukocyte."""

NO_CORRECTIONS: Mapping[str, Correction] = MappingProxyType({})

WARM_UP_IMAGES = 3
"""The first images on each engine are not timed: allocators, caches and clocks settle."""

IS_WBC = np.array([cell.is_wbc for cell in CELLS])


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image: `typed` for AP by class (per-class suppression only), `cells` as the edge reports cells but down to
    `CANDIDATE_FLOOR` (score: presence), and `counted`, the cells at the model's own thresholds.

    `engine` names what ran. `engine_ms` is submit to collect, over all tiles; `whole_ms` from the frame in memory to `counted`,
    without reading the file. Both are None for a warm-up image. `at` are the cells that the edge would count at other presence
    thresholds, where they were asked for.
    """

    annotation: Annotation
    typed: Judged
    cells: Judged
    counted: Cells
    engine: str
    engine_ms: float | None
    whole_ms: float | None
    at: Mapping[float, Judged] = field(default_factory=dict)

    @property
    def counted_wbc(self) -> int:
        return int(IS_WBC[self.counted.classes].sum())


class Measurer:
    """Runs images through the edge's parts, with the correction of their source if there is one; a context, in which an engine
    for each frame size stays open."""

    def __init__(
        self, target: Target, corrections: Mapping[str, Correction] = NO_CORRECTIONS, thresholds: Sequence[float] = ()
    ) -> None:
        self._target, self._corrections = target, corrections
        self._point = OperatingPoint.of(target.thresholds)
        self._all_candidates = OperatingPoint.of(target.thresholds.model_copy(update={"detect": CANDIDATE_FLOOR}))
        at = {detect: target.thresholds.model_copy(update={"detect": detect}) for detect in thresholds}
        self._points = {detect: OperatingPoint.of(one) for detect, one in at.items()}
        self._plans: dict[tuple[int, int, float, str], FitPlan] = {}
        self._engines = ImageEngines(target.open)
        self._images_on: dict[tuple[int, int], int] = {}

    def __enter__(self) -> "Measurer":
        self._engines.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._engines.__exit__(kind, problem, trace)

    def plan(self, row: Annotation) -> FitPlan:
        """How images like this one reach the model's scale."""
        key = (row.width_px, row.height_px, row.um_per_px, row.source)
        if key not in self._plans:
            self._plans[key] = plan_of(row, self._target, self._corrections.get(row.source))
        return self._plans[key]

    def result(self, row: Annotation, image: Image) -> ImageResult:
        """What is found on one image. Raises `EngineError`."""
        plan = self.plan(row)
        engine, size = self._engines.of(plan), (plan.engine_width_px, plan.engine_height_px)
        started = perf_counter_ns()
        raw, engine_ns = infer(engine, plan, image)
        counted = postprocess(raw, plan, self._point)
        whole_ns = perf_counter_ns() - started
        cells = postprocess(raw, plan, self._all_candidates)
        self._images_on[size] = self._images_on.get(size, 0) + 1
        is_warm = self._images_on[size] > WARM_UP_IMAGES
        return ImageResult(
            row,
            _typed(raw, plan, row),
            _judged(cells, row),
            counted,
            str(engine.info),
            engine_ns / 1e6 if is_warm else None,
            whole_ns / 1e6 if is_warm else None,
            {detect: _judged(postprocess(raw, plan, point), row) for detect, point in self._points.items()},
        )


def results_of(
    target: Target,
    annotations: Sequence[Annotation],
    corrections: Mapping[str, Correction] = NO_CORRECTIONS,
    thresholds: Sequence[float] = (),
) -> Iterator[ImageResult]:
    """Run every image through the edge's parts.

    `thresholds`: for `at`. A cell's presence leaves scores out that cannot matter at the threshold, so that what is counted at
    one cannot be told from what was counted at another. Raises `DataError` for an image that cannot be read.
    """
    with Measurer(target, corrections, thresholds) as measurer:
        for row in tqdm(annotations, desc="evaluate", unit="image", mininterval=2.0):
            yield measurer.result(row, read_image(row.path))


def plan_of(annotation: Annotation, target: Target, correction: Correction | None = None) -> FitPlan:
    """How this image reaches the model's scale, and what is corrected on the way."""
    return plan_fit(
        annotation.width_px,
        annotation.height_px,
        annotation.um_per_px,
        target.um_per_px,
        target.field_width_px,
        target.field_height_px,
        correction=correction,
    )


def _judged(cells: Cells, annotation: Annotation) -> Judged:
    return Judged(cells.boxes_px, cells.presence, cells.classes, annotation.boxes_px, annotation.labels)


def _typed(raw: RawDetections, plan: FitPlan, annotation: Annotation) -> Judged:
    boxes = np.concatenate([plan.to_frame(raw.boxes[k], k) for k in range(len(raw.boxes))])
    scores, labels = raw.scores.reshape(-1), raw.labels.reshape(-1)
    rows = np.flatnonzero(scores >= MIN_SCORE)
    sides = np.concatenate((boxes[rows, :2], boxes[rows, 2:] - boxes[rows, :2]), axis=1).astype(np.float64)
    kept = cv2.dnn.NMSBoxesBatched(sides, scores[rows].tolist(), labels[rows].tolist(), MIN_SCORE, 0.45) if len(rows) else ()
    chosen = rows[np.asarray(kept, np.int64).ravel()]
    return Judged(boxes[chosen], scores[chosen], labels[chosen], annotation.boxes_px, annotation.labels)


def true_wbc(annotation: Annotation) -> int:
    """Annotated leukocytes, typed or not."""
    return sum(int(label) != IGNORE and (int(label) < 0 or CELLS[int(label)].is_wbc) for label in annotation.labels)
