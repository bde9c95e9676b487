"""A model's detections on annotated images, by the edge's own way: fit, engine, post-processing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from types import MappingProxyType

import cv2
import numpy as np
from tqdm import tqdm

from edge.camera.correction import Correction
from edge.camera.resample import FitPlan, plan_fit
from edge.contracts.cells import CELLS
from edge.contracts.detections import Cells, RawDetections
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
    without reading the file. Both are None for a warm-up image.
    """

    annotation: Annotation
    typed: Judged
    cells: Judged
    counted: Cells
    engine: str
    engine_ms: float | None
    whole_ms: float | None

    @property
    def counted_wbc(self) -> int:
        return int(IS_WBC[self.counted.classes].sum())


def results_of(
    target: Target, annotations: Sequence[Annotation], corrections: Mapping[str, Correction] = NO_CORRECTIONS
) -> Iterator[ImageResult]:
    """Run every image through the edge's parts, with the correction of its source if there is one.

    Raises `DataError` for an image that cannot be read.
    """
    point = OperatingPoint.of(target.thresholds)
    all_candidates = OperatingPoint.of(target.thresholds.model_copy(update={"detect": CANDIDATE_FLOOR}))
    plans: dict[tuple[int, int, float, str], FitPlan] = {}
    images_on: dict[tuple[int, int], int] = {}
    with ImageEngines(target.open) as engines:
        for row in tqdm(annotations, desc="evaluate", unit="image", mininterval=2.0):
            key = (row.width_px, row.height_px, row.um_per_px, row.source)
            plan = plans[key] = plans.get(key) or plan_of(row, target, corrections.get(row.source))
            engine, size = engines.of(plan), (plan.engine_width_px, plan.engine_height_px)
            image = read_image(row.path)
            started = perf_counter_ns()
            raw, engine_ns = infer(engine, plan, image)
            counted = postprocess(raw, plan, point)
            whole_ns = perf_counter_ns() - started
            cells = postprocess(raw, plan, all_candidates)
            images_on[size] = images_on.get(size, 0) + 1
            is_warm = images_on[size] > WARM_UP_IMAGES
            yield ImageResult(
                row,
                _typed(raw, plan, row),
                Judged(cells.boxes_px, cells.presence, cells.classes, row.boxes_px, row.labels),
                counted,
                str(engine.info),
                engine_ns / 1e6 if is_warm else None,
                whole_ns / 1e6 if is_warm else None,
            )


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
