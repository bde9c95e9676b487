"""Matching and curves against COCO's own evaluation at IoU 0.5, detection by detection, where the two rules agree."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edge.contracts.cells import INDEX
from trainer.data.annotation import IGNORE
from trainer.evaluation.average_precision import FALSE, NEITHER, Curve, Floats, Ints, Judged, class_curve, match

LYM = INDEX["lymphocyte"]
SIDE, PITCH = 40, 60


@st.composite
def an_image(draw: st.DrawFn) -> Judged:
    """Truth on a grid, so that it never overlaps; detections are truth moved and resized, or anywhere; scores differ."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    places = np.array([(x, y) for x in range(4) for y in range(3)]) * PITCH
    corners = rng.permutation(places)[: rng.integers(0, 7)].astype(np.float64)
    truth = np.concatenate((corners, corners + SIDE + rng.uniform(-8, 8, corners.shape)), axis=1)
    near = truth[rng.integers(0, len(truth), 2 * len(truth))] + rng.normal(0, 6, (2 * len(truth), 4)) if len(truth) else truth
    anywhere = rng.uniform(0, 200, (rng.integers(0, 5), 2))
    boxes = np.concatenate((near, np.concatenate((anywhere, anywhere + SIDE), axis=1)))
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2] + 1).all(axis=1)].astype(np.float32)
    labels = np.where(rng.random(len(truth)) < 0.2, IGNORE, LYM).astype(np.int32)
    n = len(boxes)
    return Judged(boxes, rng.random(n).astype(np.float32), np.full(n, LYM, np.int32), truth.astype(np.float32), labels)


def coco_of(images: list[Judged]) -> Any:  # noqa: ANN401 - untyped library
    """Ignored regions become crowds: both leave out what lies at least half inside one."""

    def row(number: int, image: int, box: Floats) -> dict[str, Any]:
        x1, y1, x2, y2 = (float(value) for value in box)
        box_px, area = [x1, y1, x2 - x1, y2 - y1], (x2 - x1) * (y2 - y1)
        return {"id": number, "image_id": image, "category_id": 1, "bbox": box_px, "area": area}

    truth, found = [], []
    for k, image in enumerate(images, 1):
        truth += [(k, box, label) for box, label in zip(image.truth_boxes, image.truth_labels, strict=True)]
        found += [(k, box, score) for box, score in zip(image.boxes, image.scores, strict=True)]
    with contextlib.redirect_stdout(io.StringIO()):
        known, called = COCO(), COCO()
        pictures = [{"id": k} for k in range(1, len(images) + 1)]
        annotations = [{**row(n, k, b), "iscrowd": int(label == IGNORE)} for n, (k, b, label) in enumerate(truth, 1)]
        detections = [{**row(n, k, b), "iscrowd": 0, "score": float(s)} for n, (k, b, s) in enumerate(found, 1)]
        for side, rows in ((known, annotations), (called, detections)):
            side.dataset = {"images": pictures, "categories": [{"id": 1}], "annotations": rows}
            side.createIndex()
        judge = COCOeval(known, called, "bbox")
        judge.params.iouThrs, judge.params.maxDets = np.array([0.5]), [10_000]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    return judge


def verdicts_of_coco(judge: Any, image: int, n: int) -> Ints:  # noqa: ANN401
    """As `match` gives them, for one image: 0 stands for any truth."""
    verdict = np.full(n, FALSE, np.int32)
    row = judge.evalImgs[image]
    if row is not None:
        order = np.argsort([-d["score"] for d in judge._dts[image + 1, 1]], kind="mergesort")
        verdict[order] = np.where(row["dtIgnore"][0], NEITHER, np.where(row["dtMatches"][0] > 0, 0, FALSE))
    return verdict


def at_101_recalls(curve: Curve) -> NDArray[np.float64]:
    """COCO's precision array from our curve."""
    hits = np.cumsum(curve.is_true)
    envelope = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    first = np.searchsorted(hits / curve.n_truth, np.linspace(0, 1, 101), side="left")
    result: NDArray[np.float64] = np.append(envelope, 0.0)[first]
    return result


@settings(max_examples=30, deadline=None)
@given(st.lists(an_image(), min_size=1, max_size=5))
def test_every_detection_and_the_curve_are_as_in_coco(images: list[Judged]) -> None:
    judge = coco_of(images)
    for k, image in enumerate(images):
        real = image.truth_labels != IGNORE
        found = match(
            image.boxes, image.scores, image.truth_boxes[real], np.zeros(real.sum(), bool), image.truth_boxes[~real], 0.5
        )
        ours = np.where(found >= 0, 0, found)
        np.testing.assert_array_equal(ours, verdicts_of_coco(judge, k, len(image.boxes)))
    curve = class_curve(images, LYM)
    if curve.n_truth:
        precision = judge.eval["precision"][0, :, 0, 0, 0]
        np.testing.assert_allclose(at_101_recalls(curve), precision, atol=1e-9)
        assert curve.ap == pytest.approx(precision.mean(), abs=0.01 + 1 / curve.n_truth)


def test_a_detection_of_two_truths_is_where_pascal_and_coco_differ() -> None:
    """The second detection overlaps the taken truth most: PASCAL calls it false, COCO lets it have the other one."""
    truth = np.array([(0, 0, 40, 40), (12, 0, 52, 40)], np.float32)
    boxes = np.array([(0, 0, 40, 40), (5, 0, 45, 40)], np.float32)
    labels = np.full(2, LYM, np.int32)
    image = Judged(boxes, np.array([0.9, 0.8], np.float32), labels, truth, labels)
    found = match(image.boxes, image.scores, truth, np.zeros(2, bool), np.zeros((0, 4), np.float32), 0.5)
    assert found.tolist() == [0, FALSE]
    assert verdicts_of_coco(coco_of([image]), 0, 2).tolist() == [0, 0]
