"""A bundle's detections on annotated images, by the edge's own way: fit, engine, post-processing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from leukostream.edge.camera.fit import FitPlan, plan_fit
from leukostream.edge.contracts.bundle import Bundle
from leukostream.edge.contracts.cells import CELLS
from leukostream.edge.contracts.detections import RawDetections
from leukostream.edge.engine import open_engine
from leukostream.edge.engine.base import Engine
from leukostream.edge.postprocess import OperatingPoint, postprocess
from leukostream.trainer.data.annotation import IGNORE, Annotation
from leukostream.trainer.data.image_file import read_image
from leukostream.trainer.evaluation.average_precision import Judged

MIN_SCORE = 0.005
"""Rows below this cannot change average precision visibly, and are many."""

CANDIDATE_FLOOR = 0.02
"""Presence from which a cell enters the curve of any leukocyte."""


@dataclass(frozen=True, slots=True)
class ImageResult:
    """One image: `typed` for AP by class (per-class suppression only), `cells` as the edge reports cells (score: presence,
    down to `CANDIDATE_FLOOR`), and the number of leukocytes at the bundle's own thresholds."""

    annotation: Annotation
    typed: Judged
    cells: Judged
    counted_wbc: int


def results_of(bundle: Bundle, annotations: Sequence[Annotation]) -> Iterator[ImageResult]:
    """Run every image through the edge's parts. Raises `DataError` for an image that cannot be read."""
    point = OperatingPoint.of(bundle.manifest.thresholds)
    all_candidates = OperatingPoint.of(bundle.manifest.thresholds.model_copy(update={"detect": CANDIDATE_FLOOR}))
    engines: dict[tuple[int, int], Engine] = {}
    try:
        for annotation in tqdm(annotations, desc="evaluate", unit="image", mininterval=2.0):
            plan = plan_of(annotation, bundle)
            size = (plan.engine_width_px, plan.engine_height_px)
            if size not in engines:
                engines[size] = open_engine(bundle, *size, max_batch=1, slots=1)
            raw = infer(engines[size], plan, annotation)
            cells = postprocess(raw, plan, all_candidates)
            counted = postprocess(raw, plan, point)
            wbc = np.array([cell.is_wbc for cell in CELLS])
            yield ImageResult(
                annotation,
                _typed(raw, plan, annotation),
                Judged(cells.boxes_px, cells.presence, cells.classes, annotation.boxes_px, annotation.labels),
                int(wbc[counted.classes].sum()),
            )
    finally:
        for engine in engines.values():
            engine.close()


def plan_of(annotation: Annotation, bundle: Bundle) -> FitPlan:
    """How this image reaches the bundle's scale."""
    manifest = bundle.manifest
    return plan_fit(
        annotation.width_px,
        annotation.height_px,
        annotation.um_per_px,
        manifest.um_per_px,
        manifest.field_width_px,
        manifest.field_height_px,
    )


def infer(engine: Engine, plan: FitPlan, annotation: Annotation) -> RawDetections:
    """The graph's rows for one image, one per tile."""
    image = read_image(annotation.path)
    slots = [np.empty((plan.engine_height_px, plan.engine_width_px, 3), np.uint8) for _ in range(plan.n_tiles)]
    plan.write(image, slots)
    parts = []
    for slot in slots:
        engine.slot(0)[0] = slot
        engine.submit(0, 1)
        parts.append(engine.collect(0))
    return RawDetections(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("boxes", "scores", "labels")))


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
