"""Average precision on cases small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evaluated import judged as image

from edge.contracts.cells import INDEX
from trainer.data.annotation import IGNORE, UNTYPED_NEUTROPHIL, UNTYPED_WBC
from trainer.evaluation.average_precision import (
    Judged,
    class_curve,
    eleven_point_ap,
    interpolated_ap,
    leukocyte_curve,
)

LYM, MON, NRBC = INDEX["lymphocyte"], INDEX["monocyte"], INDEX["nrbc"]
A, B, FAR = (0, 0, 10, 10), (50, 50, 60, 60), (200, 200, 210, 210)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        pytest.param(image([(A, 0.9, LYM)], [(A, LYM)]), 1.0, id="found"),
        pytest.param(image([], [(A, LYM)]), 0.0, id="missed"),
        pytest.param(image([(A, 0.9, LYM)], []), None, id="no-truth-is-no-figure"),
        pytest.param(image([(A, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM)]), 1.0, id="a-late-duplicate-does-not-lower-all-point-ap"),
        pytest.param(
            image([(A, 0.9, LYM), (A, 0.8, LYM), (B, 0.7, LYM)], [(A, LYM), (B, LYM)]), 5 / 6, id="duplicate-is-false"
        ),
        pytest.param(image([(FAR, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM)]), 0.5, id="false-before-true"),
        pytest.param(image([(A, 0.9, LYM), (FAR, 0.8, LYM)], [(A, LYM)]), 1.0, id="false-after-true"),
        pytest.param(image([(B, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), (B, UNTYPED_WBC)]), 1.0, id="untyped-is-neither"),
        pytest.param(image([(B, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), (B, IGNORE)]), 1.0, id="ignored-is-neither"),
        pytest.param(
            image([(B, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), ((0, 0, 100, 100), IGNORE)]),
            1.0,
            id="inside-a-large-ignored-region",
        ),
        pytest.param(image([(FAR, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), (B, IGNORE)]), 0.5, id="outside-the-ignored-region"),
        pytest.param(image([(B, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), (B, MON)]), 0.5, id="another-type-is-false"),
        pytest.param(image([((0, 0, 10, 4), 0.9, LYM)], [(A, LYM)]), 0.0, id="too-little-overlap"),
    ],
)
def test_ap_of_a_class(judged: Judged, expected: float | None) -> None:
    assert class_curve([judged], LYM).ap == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        pytest.param(image([(A, 0.9, MON)], [(A, LYM)]), 1.0, id="a-wrong-type-is-still-a-leukocyte"),
        pytest.param(image([(A, 0.9, MON)], [(A, UNTYPED_WBC)]), 1.0, id="untyped-counts-here"),
        pytest.param(image([(A, 0.9, MON)], [(A, UNTYPED_NEUTROPHIL)]), 1.0, id="so-does-an-untyped-neutrophil"),
        pytest.param(image([(A, 0.9, NRBC)], [(A, LYM)]), 0.0, id="a-nucleated-red-cell-is-none"),
        pytest.param(image([(A, 0.9, LYM)], [(A, NRBC)]), None, id="nor-is-one-a-truth"),
    ],
)
def test_ap_of_any_leukocyte(judged: Judged, expected: float | None) -> None:
    assert leukocyte_curve([judged]).ap == (None if expected is None else pytest.approx(expected))


def test_an_untyped_neutrophil_may_be_called_segmented_but_not_a_lymphocyte() -> None:
    segmented = INDEX["neutrophil_segmented"]
    called = image([(B, 0.9, segmented), (A, 0.8, segmented)], [(A, segmented), (B, UNTYPED_NEUTROPHIL)])
    assert class_curve([called], segmented).ap == pytest.approx(1.0)
    called = image([(B, 0.9, LYM), (A, 0.8, LYM)], [(A, LYM), (B, UNTYPED_NEUTROPHIL)])
    assert class_curve([called], LYM).ap == pytest.approx(0.5)


def test_scores_rank_over_all_images_together() -> None:
    good, bad = image([(A, 0.6, LYM)], [(A, LYM)]), image([(FAR, 0.9, LYM)], [])
    assert class_curve([good, bad], LYM).ap == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("verdicts", "n_truth", "expected"),
    [
        pytest.param([True], 1, 1.0, id="found"),
        pytest.param([], 3, 0.0, id="nothing-found"),
        pytest.param([True], 2, 6 / 11, id="half-of-the-truth-reaches-recall-0-to-0.5"),
        pytest.param([True, True, True], 10, 4 / 11, id="three-of-ten-reach-0.3-exactly"),
        pytest.param([True, False, True], 2, (6 + 5 * 2 / 3) / 11, id="the-envelope-at-each-tenth"),
        pytest.param([False, True], 1, 0.5, id="false-before-true"),
    ],
)
def test_eleven_point_ap(verdicts: list[bool], n_truth: int, expected: float) -> None:
    assert eleven_point_ap(np.array(verdicts, bool), n_truth) == pytest.approx(expected)


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 20))
def test_ap_is_a_fraction_and_a_better_order_is_never_worse(verdicts: list[bool], missed: int) -> None:
    n_truth = sum(verdicts) + missed
    if not n_truth:
        return
    ap = interpolated_ap(np.array(verdicts), n_truth)
    assert 0 <= ap <= 1
    assert interpolated_ap(np.array(sorted(verdicts, reverse=True)), n_truth) >= ap - 1e-12
